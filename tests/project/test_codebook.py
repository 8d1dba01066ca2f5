"""Changes of the codebook, and the text of params.yaml after them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from paratopic.project.codebook import Change, Kind, edited
from paratopic.project.errors import UserError
from paratopic.project.params import parse_params
from paratopic.project.paths import PARAMS
from paratopic.project.topics import Topic, Topics
from tests.programs import ROOT

TEXT = (ROOT / PARAMS).read_text(encoding="utf-8")
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
BRACKETS = "topics: {mode: multi, codebook: [trade, 'security', technology]} # the end\n"


def after(text: str, change: Change) -> str:
    topics = YAML(typ="safe").load(text)["topics"]
    codebook = tuple(Topic(t) if isinstance(t, str) else Topic(**t) for t in topics["codebook"])
    return edited(text, change.entries(Topics(topics["mode"], codebook)))


def test_comments_and_everything_else_stay() -> None:
    renamed = after(BLOCK, Change("rename", ("trade",), ("yes",)))
    assert renamed == BLOCK.replace("name: trade", 'name: "yes"')
    renamed = after(BLOCK, Change("rename", ("security",), ("army",)))
    assert renamed == BLOCK.replace("- security", "- army")
    dropped = after(BLOCK, Change("drop", ("security",)))
    assert dropped == BLOCK.replace("    # without a definition\n    - security  # soldiers\n", "")
    last = after(BLOCK, Change("drop", ("technology",)))
    assert last == BLOCK.replace('    - {name: technology, definition: "Chips; apps."}\n', "")
    crlf = BLOCK.replace("\n", "\r\n")
    renamed = after(crlf, Change("rename", ("trade",), ("commerce",)))
    assert renamed == crlf.replace("name: trade", "name: commerce")
    assert after(BLOCK.partition("\n\n# the end")[0], Change("drop", ("trade",))).endswith(
        '"Chips; apps."}\n'
    )


def test_a_split_has_new_topics_at_its_place() -> None:
    split = after(BLOCK, Change("split", ("trade",), ("tariffs", "trade", "deals")))
    codebook = YAML(typ="safe").load(split)["topics"]["codebook"]
    assert codebook[0] == {"name": "tariffs", "definition": "Tariffs."}
    assert codebook[1]["name"] == "trade" and "In: deals." in codebook[1]["definition"]
    assert codebook[2:] == [
        {"name": "deals", "definition": "Deals."},
        "security",
        {"name": "technology", "definition": "Chips; apps."},
    ]
    assert "    - name: trade  # or commerce\n" in split
    bare = after(BLOCK, Change("split", ("security",), ("army", "navy")))
    assert "    - army\n    - navy\n" in bare


def test_merged_topics_have_both_descriptions_before_the_doubtful_cases() -> None:
    before = parse_params(TEXT).topics
    change = Change("merge", ("security", "trade"), ("trade",))
    after = parse_params(edited(TEXT, change.entries(before))).topics
    assert after.names == ("technology", "trade", "diplomacy_venue")
    known = {topic.name: topic for topic in before.topics}
    security, trade, merged = known["security"], known["trade"], after.topics[1]
    assert merged.description == f"{security.description} {trade.description}"
    assert merged.definition.count("In:") == merged.definition.count("Out:") == 2
    assert merged.heading == f"{security.heading}|{trade.heading}"


@pytest.mark.parametrize(
    ("change", "codebook"),
    [
        (Change("rename", ("trade",), ("a, b",)), ["a, b", "security", "technology"]),
        (Change("merge", ("security", "trade"), ("x",)), ["x", "technology"]),
        (Change("split", ("security",), ("army", "navy")), ["trade", "army", "navy", "technology"]),
        (Change("drop", ("trade",)), ["security", "technology"]),
    ],
)
def test_a_codebook_in_brackets_is_edited_too(change: Change, codebook: list[str]) -> None:
    text = after(BRACKETS, change)
    assert YAML(typ="safe").load(text)["topics"]["codebook"] == codebook
    assert text.endswith("]} # the end\n")


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
        (Change("split", ("trade",), ("x_y", "x y")), "have the same definition"),
    ],
)
def test_what_makes_no_codebook_is_refused(change: Change, message: str) -> None:
    with pytest.raises(UserError, match=message):
        change.entries(parse_params(TEXT).topics)


def test_two_topics_are_left_at_least() -> None:
    topics = Topics("single", ("a", "b"))
    for change in (Change("drop", ("a",)), Change("merge", ("a", "b"), ("b",))):
        with pytest.raises(UserError, match="at least two topics"):
            change.entries(topics)


@pytest.mark.parametrize(
    ("kind", "names", "into"),
    [
        ("merge", ("a", "a"), ("b",)),
        ("merge", ("a", "b"), ()),
        ("split", ("a",), ("b", "b")),
        ("drop", ("a",), ("b",)),
        ("rename", ("a",), ()),
    ],
)
def test_too_few_or_too_many_names_are_refused(
    kind: Kind, names: tuple[str, ...], into: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=f"{kind} needs"):
        Change(kind, names, into)


@given(NAMES, NAMES, st.sampled_from([BLOCK, BRACKETS]), st.sampled_from(["rename", "split"]))
def test_any_name_that_is_allowed_comes_back(one: str, other: str, text: str, kind: Kind) -> None:
    into = (one,) if kind == "rename" else (one, other)
    before = YAML(typ="safe").load(text)["topics"]["codebook"]
    try:
        new = after(text, Change(kind, ("technology",), into))
    except (ValueError, UserError):
        return
    codebook = YAML(typ="safe").load(new)["topics"]["codebook"]
    assert codebook[:2] == before[:2]
    names = [entry if isinstance(entry, str) else entry["name"] for entry in codebook[2:]]
    assert names == list(into)


def test_a_cell_of_a_change_comes_back() -> None:
    for change in (Change("merge", ("a", "b"), ("c",)), Change("drop", ("a",))):
        assert Change.of_cell(change.kind, change.cell) == change


def test_the_rest_of_the_params_is_read_as_before() -> None:
    before = parse_params(TEXT)
    for change in (
        Change("rename", ("security",), ("defence",)),
        Change("split", ("diplomacy_venue",), ("host", "venue")),
        Change("drop", ("trade",)),
    ):
        entries = change.entries(before.topics)
        new = parse_params(edited(TEXT, entries))
        assert new.topics.topics == tuple(topic for topic, _ in entries)
        assert replace(new, topics=before.topics) == before
