"""docs/settings.md and docs/commands.md say what the code says."""

from __future__ import annotations

import pytest

from tests.programs import ROOT
from tests.reference import PAGES, documented, values


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_says(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert page == PAGES[name](), "run `python -m tests.reference`"


class Documented:
    """A class.

    Parameters
    ----------
    one, two
        Of the class,
        in lines.
    three
        Of three.
    """

    one: int
    two: int
    three: int
    four: int
    """Of itself."""


def test_fields_are_documented_below_them_or_in_their_class() -> None:
    texts = {"one": "Of the class, in lines.", "two": "Of the class, in lines."}
    assert documented(Documented) == texts | {"three": "Of three.", "four": "Of itself."}


def test_types_are_said_in_words() -> None:
    assert values({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "auto"}]}) == (
        "number above 0 or `auto`"
    )
    two = {"type": "array", "prefixItems": [{"type": "integer", "minimum": 1}] * 2}
    assert values(two) == "list of 2: whole number from 1"
