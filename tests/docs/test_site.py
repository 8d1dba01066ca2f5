"""The documentation as a site, which `make docs` builds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import paratopic
from tests.programs import ROOT, sh


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site. Links to pages and headings that do not exist stop its building."""
    out = tmp_path_factory.mktemp("docs")
    sh(ROOT, ".ci/site", str(out))
    return out / "site"


def test_pages_load_nothing_from_other_servers(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = re.findall(
            r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?:[^\" >]+)", page.read_text()
        )
        assert not loaded, page


def test_public_names_and_pages_are_found_by_the_search(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"] for entry in index["docs"]}
    names = {f"paratopic.{name}" for name in paratopic.__all__}
    assert {f"docs/api.html#{name}" for name in names} - places == set()
    assert {"docs/labelling.html", "docs/settings.html", "benchmarks/index.html"} <= places
