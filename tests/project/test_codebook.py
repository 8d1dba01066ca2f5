"""Changes of the codebook, and its file after them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from paratopic.project.codebook import Change, Kind, change_entries, edit_yaml
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.params import read_params
from paratopic.project.topics import Topic, Topics
from tests.programs import ROOT

TEXT = Paths(ROOT).codebook.read_text(encoding="utf-8")
PARAMS = read_params(Paths(ROOT).params)
NAMES = st.text(min_size=1, max_size=8)

BLOCK = """seed: 1  # the one seed
topics:
  mode: single
  codebook:
    # what is bought
    - name: trade  # or commerce
      definition: >-
        Tariffs: # of goods.

        In: deals.
    # without a definition
    - security  # soldiers
    - {name: technology, definition: "Chips; apps."}

# the end
"""


def after(text: str, change: Change) -> str:
    return after_edit(text, partial(change_entries, change, topics_of(text)))


def after_edit(text: str, change: Callable[[Any], None]) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "any.yaml"
        path.write_bytes(text.encode())
        edit_yaml(path, path.parent, change)
        return path.read_bytes().decode()


def topics_of(text: str) -> Topics:
    values = YAML(typ="safe").load(text)
    topics = values["topics"]
    if isinstance(topics, list):
        topics = values | {"mode": "single", "codebook": topics}
    entries = [{"name": t} if isinstance(t, str) else t for t in topics["codebook"]]
    codebook = tuple(Topic(**entry | {"was": tuple(entry.get("was", ()))}) for entry in entries)
    retired = {name: tuple(parts) for name, parts in topics.get("retired", {}).items()}
    return Topics(topics["mode"], codebook, retired)


def test_comments_and_everything_else_stay() -> None:
    assert after_edit(TEXT, lambda file: None) == TEXT
    renamed = after(BLOCK, Change("rename", ("trade",), ("tax",)))
    line = "name: trade  # or commerce\n"
    assert renamed == BLOCK.replace(line, "name: tax    # or commerce\n      was: [trade]\n")
    renamed = after(BLOCK, Change("rename", ("security",), ("army",)))
    line = "- name: army # soldiers\n      was: [security]"
    assert renamed == BLOCK.replace("- security  # soldiers", line)
    renamed = after(BLOCK, Change("rename", ("technology",), ("tech",)))
    assert renamed == BLOCK.replace("{name: technology,", "{name: tech, was: [technology],")
    dropped = after(BLOCK, Change("drop", ("security",)))
    without = BLOCK.replace("    # without a definition\n    - security  # soldiers\n", "")
    assert dropped == without + "  retired:\n    security: []\n"
    again = after(dropped, Change("split", ("trade",), ("tariffs", "deals")))
    assert again.endswith("    security: []\n    trade: [tariffs, deals]\n")
    crlf = after(BLOCK.replace("\n", "\r\n"), Change("rename", ("trade",), ("tax",)))
    assert crlf == after(BLOCK, Change("rename", ("trade",), ("tax",))).replace("\n", "\r\n")


# A file of the codebook with comments in all places.
FILE = """# the head
topics:
# first
- trade  # beside
# second
- name: law
  # of its definition
  definition: |
    Courts.
# third
- name: war  # and peace
# fourth
- definition: 'Bread and
    wine.'
  was:
  - food
  name: meals

# the rest
retired:
  old: [law]
# the end
"""


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (
            Change("rename", ("trade",), ("tax",)),
            "- trade  # beside\n",
            "- name: tax # beside\n  was: [trade]\n",
        ),
        (
            Change("rename", ("meals",), ("x",)),
            "  was:\n  - food\n  name: meals\n",
            "  was: [food, meals]\n  name: x\n",
        ),
        (Change("drop", ("trade",)), "- trade  # beside\n", ""),
        (Change("drop", ("war",)), "# third\n- name: war  # and peace\n", ""),
        (Change("drop", ("meals",)), FILE[FILE.index("# fourth") : FILE.index("\n# the rest")], ""),
        (
            Change("split", ("law",), ("courts", "bills")),
            FILE[FILE.index("- name: law") : FILE.index("# third")],
            "- name: courts\n  definition: Courts.\n- name: bills\n  definition: Bills.\n",
        ),
    ],
)
def test_comments_go_with_the_entry_that_they_stand_before(
    change: Change, old: str, new: str
) -> None:
    before = FILE if change.names != ("law",) else FILE.replace("[law]", "[]")
    text = after(before, change)
    retired = before.index("retired:") - len(before)
    kept = before[:retired].replace(old, new).replace("'Bread and\n    wine.'", "'Bread and wine.'")
    assert text.startswith(kept) and text.endswith("# the end\n")
    assert topics_of(text) == change.topics(topics_of(before))


@pytest.mark.parametrize("typed", ["\u00e9cole", "e\u0301cole"])
def test_accents_may_be_written_in_either_form(typed: str) -> None:
    for written in ("\u00e9cole", "e\u0301cole"):
        text = BLOCK.replace("name: trade", f"name: {written}")
        renamed = after(text, Change("rename", (typed,), ("school",)))
        assert topics_of(renamed).topics[0].was == ("\u00e9cole",)
        assert topics_of(after(text, Change("drop", (typed,)))).retired == {"\u00e9cole": ()}


def test_former_names_accumulate() -> None:
    text = after(BLOCK, Change("rename", ("trade",), ("commerce",)))
    text = after(text, Change("rename", ("commerce",), ("trade",)))
    assert topics_of(text).topics[0].was == ("commerce",)
    text = after(text, Change("merge", ("trade", "security"), ("both",)))
    assert topics_of(text).topics[0].was == ("commerce", "trade", "security")
    text = after(text, Change("split", ("both",), ("one", "other")))
    assert topics_of(text).retired == dict.fromkeys(
        ("both", "commerce", "trade", "security"), ("one", "other")
    )
    text = after(text, Change("rename", ("one",), ("first",)))
    reason = topics_of(text).current_meaning(["commerce"]).retired
    assert reason == "commerce was split into first, other"
    text = after(text, Change("drop", ("other",)))
    reason = topics_of(text).current_meaning(["security"]).retired
    assert reason == "security was split into first"
    begun = BLOCK.replace("  mode: single\n", "  mode: single\n  retired: {x: []}\n")
    text = after(begun, Change("drop", ("trade",)))
    assert topics_of(text).retired == {"x": (), "trade": ()}


@pytest.mark.parametrize(
    ("codebook", "retired", "message"),
    [
        (("a", Topic("b", was=("a",))), {}, '"a" twice.*`was` of b'),
        (("a", "b"), {"a": ()}, '"a" twice.*`retired`'),
        (("a", "b"), {"c": ("d",)}, '"d", in `retired` of c'),
        (("a", "b"), {"c": ("c",)}, '"c", in `retired` of c'),
        (("a", "b"), {"x;y": ()}, "is not a topic name"),
    ],
)
def test_a_name_stands_in_one_place(
    codebook: tuple[Topic | str, ...], retired: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Topics("single", codebook, retired)


def test_a_split_has_new_topics_at_its_place() -> None:
    split = after(BLOCK, Change("split", ("trade",), ("tariffs", "deals")))
    codebook = YAML(typ="safe").load(split)["topics"]["codebook"]
    assert codebook == [
        {"name": "tariffs", "definition": "Tariffs."},
        {"name": "deals", "definition": "Deals."},
        "security",
        {"name": "technology", "definition": "Chips; apps."},
    ]
    bare = after(BLOCK, Change("split", ("security",), ("army", "navy")))
    assert "    - army\n    - navy\n" in bare


def test_merged_topics_have_both_descriptions_before_the_doubtful_cases() -> None:
    text = after(TEXT, Change("merge", ("security", "trade"), ("trade",)))
    topics = topics_of(text)
    assert topics.names == ("technology", "trade", "diplomacy_venue")
    known = {topic.name: topic for topic in PARAMS.topics.topics}
    security, trade, merged = known["security"], known["trade"], topics.topics[1]
    assert merged.description == f"{security.description} {trade.description}"
    assert merged.definition.count("In:") == merged.definition.count("Out:") == 2
    assert merged.heading == f"{security.heading}|{trade.heading}"


def test_lists_may_be_in_lines_in_any_order() -> None:
    body = "mode: single\nretired:\n  y:\n  - trade\ncodebook:\n"
    body += "  - name: trade\n    was:\n      - x\n  - security\n  - technology\n"
    text = "topics:\n" + textwrap.indent(body, "  ")
    for change in (
        Change("drop", ("security",)),
        Change("rename", ("trade",), ("tax",)),
        Change("merge", ("security", "trade"), ("x",)),
        Change("split", ("security",), ("army", "navy")),
    ):
        assert topics_of(after(text, change)) == change.topics(topics_of(text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change("rename", ("trad",), ("x",)), r'no topic "trad" \(did you mean "trade"\?\)'),
        (Change("rename", ("trade",), ("security",)), 'has a topic "security" already'),
        (Change("rename", ("trade",), ("trade",)), 'has a topic "trade" already'),
        (Change("rename", ("trade",), ("a;b",)), "'a;b' is not a topic name"),
        (Change("rename", ("trade",), ("?",)), "is not a topic name"),
        (Change("merge", ("trade", "security"), ("technology",)), '"technology" already'),
        (Change("split", ("trade",), ("security", "x")), '"security" already'),
        (Change("split", ("trade",), ("trade", "x")), "split"),
        (Change("split", ("trade",), ("x_y", "x y")), "have the same definition"),
    ],
)
def test_a_change_without_a_valid_result_is_refused(change: Change, message: str) -> None:
    with pytest.raises(UserError, match=message):
        change.topics(PARAMS.topics)


def test_the_number_of_topics_and_names_is_checked() -> None:
    topics = Topics("single", ("a", "b"))
    for change in (Change("drop", ("a",)), Change("merge", ("a", "b"), ("b",))):
        with pytest.raises(UserError, match="at least two topics"):
            change.topics(topics)
    wrong: list[tuple[Kind, tuple[str, ...], tuple[str, ...]]] = [
        ("merge", ("a", "a"), ("b",)),
        ("merge", ("a", "b"), ()),
        ("split", ("a",), ("b", "b")),
    ]
    for kind, names, into in wrong:
        with pytest.raises(UserError, match=f"{kind} needs"):
            Change(kind, names, into)


@given(NAMES, NAMES, st.sampled_from(["rename", "split"]))
def test_any_name_that_is_allowed_comes_back(one: str, other: str, kind: Kind) -> None:
    into = (one,) if kind == "rename" else (one, other)
    before = YAML(typ="safe").load(BLOCK)["topics"]["codebook"]
    try:
        new = after(BLOCK, Change(kind, ("technology",), into))
    except (ValueError, UserError):
        return
    assert YAML(typ="safe").load(new)["topics"]["codebook"][:2] == before[:2]
    topics = topics_of(new)
    assert topics.names[2:] == into
    meaning = topics.current_meaning(["technology"])
    assert meaning.names == into if kind == "rename" else meaning.retired
