"""Proposals for the columns and labels of a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paratopic.project.errors import UserError
from paratopic.project.source_settings import Source
from paratopic.project.topics import Topics
from paratopic.reading.columns import propose
from paratopic.tables.readers import Columns
from tests.samples import read_labelled_rows

N = 40
TEXTS: list[object] = [f"Sentence number {n}, which is about what it is about." for n in range(N)]
LABELS: list[object] = ["Econ", "Law; order", "Other", ""] * (N // 4)
DAYS: list[object] = [f"2025-09-{1 + n % 12:02}" for n in range(N)]


def test_an_open_label_is_none_and_one_name_in_two_unicode_forms_is_one_topic() -> None:
    names = ["économie", "e\u0301conomie", "?", "santé"]
    labels: list[object] = [*names] * (N // 4)
    proposal = propose({"text": TEXTS, "label": labels}, "t.csv")
    assert sorted(proposal.topics) == sorted(["économie", "santé"])


@pytest.mark.parametrize("dates", [["9/15/2025", "9/16/2025"], ["45915", "45916"]])
def test_dates_of_other_forms_are_no_ids(dates: list[str]) -> None:
    days: list[object] = [dates[n % 2] for n in range(N)]
    proposal = propose({"text": TEXTS, "label": LABELS, "date": days}, "t.csv")
    assert proposal.columns.get("id") is None


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"id": range(N), "date": DAYS, "speaker": ["Ann"] * N, "body": TEXTS, "topic": LABELS},
            {"text": "body", "label": "topic", "id": "id", "date": "date", "group": "date"},
        ),
        (  # by their contents
            {"a": LABELS, "b": [f"x{n}" for n in range(N)], "c": TEXTS, "d": DAYS},
            {"text": "c", "label": "a", "id": "b", "date": "d", "group": "d"},
        ),
        (
            {"Main Topic": LABELS, "speechId": [n // 5 for n in range(N)], "Sentence": TEXTS},
            {"text": "Sentence", "label": "Main Topic", "group": "speechId"},
        ),
        (  # an id that recurs is that of an article
            {"id": [n // 2 for n in range(N)], "text": TEXTS, "label": LABELS},
            {"text": "text", "label": "label", "group": "id"},
        ),
        (  # longer neighbours are no text, and columns named date and label may have other cells
            {
                "text_preceding": [f"{text} {text}" for text in TEXTS],
                "text": TEXTS,
                "date": ["soon"] * N,
                "label": TEXTS,
                "class": LABELS,
                "year": [2000 + n % 3 for n in range(N)],
            },
            {"text": "text", "label": "class", "date": "year"},
        ),
        ({"text": TEXTS, "score": [n / 7 for n in range(N)]}, {"text": "text"}),
        # Yes or no is the vote on one topic only.
        ({"text": TEXTS, "econ": [n % 2 for n in range(N)]}, {"text": "text"}),
    ],
)
def test_columns_are_recognised_by_their_names_or_contents(
    columns: dict[str, list[object]], expected: dict[str, str]
) -> None:
    table: Columns = {name: list(map(str, values)) for name, values in columns.items()}
    proposal = propose(table, "t.csv")
    assert proposal.columns == expected
    assert proposal.source.named.items() <= expected.items()
    assert proposal.topics == (["Econ", "Law, order"] if "label" in expected else [])


SPEECHES: list[object] = [f"speech {n // 8}" for n in range(N)]
WINGS: list[object] = [*(["left"] * 8 + ["right"] * 8) * 2, *["left"] * 8]
AREAS: list[object] = [*["north", "south", "east"] * 13, "north"]


@pytest.mark.parametrize(
    "columns",
    [
        {"speech": SPEECHES, "wing": WINGS},  # the same in each speech
        {"speech": SPEECHES, "president": AREAS, "camp": AREAS},
        {"president": WINGS, "camp": AREAS},  # no column shows the articles
        *({name: AREAS} for name in ("party", "Zeitung", "country_code")),
        {"first": AREAS, "second": LABELS},  # either
        {"label": [""] * N, "area": AREAS},
        {"label": ["a", "b", *[""] * (N - 2)], "area": AREAS},
        {"updated": [f"2020-02-{1 + n % 7:02}" for n in range(N)], "date": DAYS},
        {"relevant": ["yes", "no"] * (N // 2)},
        {"topic_law": [True, False] * (N // 2), "topic_econ": [False, True] * (N // 2)},
        {"gpt4_topic": LABELS},
    ],
)
def test_columns_without_labels(columns: Columns) -> None:
    assert propose({"text": TEXTS, **columns}, "t.csv").topics == []


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a_model_label": AREAS, "human_label": LABELS}, "human_label"),
        ({"parti": AREAS, "Catégorie": LABELS}, "Catégorie"),
        ({"is_topic": [True, False] * (N // 2), "topic_name": LABELS}, "topic_name"),
        ({"speech": SPEECHES, "wing": WINGS, "stance": LABELS}, "stance"),
    ],
)
def test_the_column_with_the_labels_among_others(columns: Columns, expected: str) -> None:
    assert propose({"text": TEXTS, **columns}, "t.csv").columns["label"] == expected


def test_columns_that_may_have_the_labels() -> None:
    flags: Columns = {}
    for area in ("north", "south"):
        flags[f"is_{area}"] = [cell == area for cell in AREAS]
    few: list[object] = ["trade", "law", "trade", *[""] * (N - 3)]
    columns = {"id": [*range(N)], "party": WINGS, "area": AREAS, "topic": few, "text": TEXTS}
    proposal = propose(columns | flags, "t.csv")
    assert list(proposal.candidates) == ["topic", "area", "party"]
    assert proposal.candidates["topic"] == ["trade", "law"]
    assert proposal.flags == ["is_north", "is_south"]


def test_a_column_that_is_named_may_have_many_labels_and_any_name() -> None:
    columns = {
        "text": [f"Text {n} of many, and longer." for n in range(440)],
        "party": [f"class {n % 200}" for n in range(440)],
    }
    proposal = propose(columns, "t.csv", label="party")
    assert len(proposal.topics) == 200 and proposal.source.label == "party"


@pytest.mark.parametrize(
    ("labels", "topics", "meanings"),
    [
        (["a", "b", "a|b"], ["a", "b"], {"a|b": "a;b"}),
        (["a", "b", "a, b", "NA"], ["a", "b"], {"a, b": "a;b"}),
        (["a | c", "b | c", "a | b"], ["a", "b", "c"], None),
        # Names with commas: not each part is a label.
        (["a", "b", "law, order"], ["a", "b", "law, order"], {}),
    ],
)
def test_other_separators_of_labels(
    labels: list[object], topics: list[str], meanings: dict[str, str] | None
) -> None:
    labels = labels * (N // len(labels))
    proposal = propose({"text": TEXTS[: len(labels)], "label": labels}, "t")
    assert sorted(proposal.topics) == sorted(topics)
    assert meanings is None or meanings.items() <= proposal.source.labels.items()


@pytest.mark.parametrize("other", [{}, {"Econ": LABELS}, {"7": [n % 9 for n in range(N)]}])
def test_a_first_row_that_is_data_is_no_header(other: Columns) -> None:
    with pytest.raises(UserError, match="first row"):
        propose({"Ministers met in Geneva to talk.": TEXTS, **other}, "t.csv")
    with pytest.raises(UserError, match="工业界预计损失"):
        propose({"工业界预计损失高达12亿欧元。": TEXTS, **other}, "t.csv")


def test_the_header_may_be_a_question() -> None:
    columns = {"What do you like about our city?": TEXTS, "age": AREAS, "topic": LABELS}
    assert propose(columns, "t.csv").columns["label"] == "topic"


def test_a_column_that_has_the_name_of_a_key_but_cannot_be_it_is_left_out() -> None:
    bad = {"id": "1", "position": "1", "drawn": "maybe", "date": "soon"}
    columns: Columns = {name: [cell] * N for name, cell in bad.items()}
    source = propose({"text": TEXTS, "label": LABELS, **columns}, "t").source
    assert (source.id, source.position, source.drawn, source.date) == (None, None, None, None)
    assert source.labels == {"Law; order": "Law, order", "Other": "none"}
    assert (source.text, source.label, source.group) == ("", "", "")


@pytest.mark.parametrize(
    ("labels", "topics", "meanings"),
    [
        (["Econ", "Other"], ["Econ", "Other"], {}),  # one is called other
        (["a", "b", "a; b", "c;d"], ["a", "b", "c,d"], {"c;d": "c,d"}),
        (["a;c", "b;c", "a;b", "c;b"], ["b", "c", "a"], {}),
        (["a", "b", "NA", ".", "None"], ["a", "b"], {"NA": "?", ".": "?", "None": "none"}),
        (["Wirtschaft", "Kultur", "Sonstiges"], ["Kultur", "Wirtschaft"], {"Sonstiges": "none"}),
        (["1", "2", "-99"], ["1", "2"], {"-99": "?"}),
        (
            ["Sports", "sports", "Sports", "World", "SPORTS", "world"],
            ["Sports", "World"],
            {"SPORTS": "Sports", "sports": "Sports", "world": "World"},
        ),
        # Next to only one topic, none is a topic.
        (["sport", "none", "none", "none"], ["other", "sport"], {"none": "other"}),
        ([True, False], ["false", "true"], {}),
    ],
)
def test_topics_that_labels_mean(
    labels: list[object], topics: list[str], meanings: dict[str, str]
) -> None:
    labels = labels * (N // len(labels))
    proposal = propose({"text": TEXTS[: len(labels)], "label": labels}, "t")
    assert (proposal.topics, proposal.source.labels) == (topics, meanings)


@pytest.mark.parametrize(("n_values", "are_labels"), [(80, True), (81, False)])
def test_a_column_named_label_has_labels_for_five_rows_each(
    n_values: int, are_labels: bool
) -> None:
    columns = {
        "text": [f"Text {n} of many, and longer." for n in range(400)],
        "label": [f"topic {n % n_values}" for n in range(400)],
    }
    assert bool(propose(columns, "t").topics) == are_labels


@pytest.mark.parametrize("cell", [";", "a;a", " "])
def test_a_column_of_one_topic_has_no_labels(cell: str) -> None:
    labels: list[object] = ["a", "a", cell] * (N // 3)
    proposal = propose({"text": TEXTS[: len(labels)], "label": labels}, "t")
    assert (proposal.topics, proposal.source.label) == ([], None)


@pytest.mark.parametrize(("draw", "is_read"), [("1", True), ("article", False)])
def test_without_groups_paragraphs_may_be_drawn_and_articles_not(draw: str, is_read: bool) -> None:
    proposal = propose({"text": TEXTS, "label": LABELS, "drawn": [draw, ""] * (N // 2)}, "t")
    assert proposal.source.drawn == ("" if is_read else None)


@pytest.mark.parametrize("columns", [{"text": []}, {"a": ["", ""]}])
def test_a_table_without_texts_is_refused(columns: Columns) -> None:
    with pytest.raises(UserError, match="t.csv: there are no rows"):
        propose(columns, "t.csv")


cell = st.text(max_size=6) | st.sampled_from("a;b a b Other 2025-09-15 1 ? ;".split())


@given(
    st.dictionaries(
        st.sampled_from(["id", "label", "position", "group", "x", "date", "drawn", "y z"]),
        st.lists(cell, min_size=6, max_size=6),
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_proposal_can_be_read(tmp_path: Path, columns: dict[str, list[str]]) -> None:
    path = tmp_path / "t.jsonl"
    table: dict[str, list[str]] = columns | {"body": [f"{text}" for text in TEXTS[:6]]}
    rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")  # anew
    proposal = propose({name: list(values) for name, values in table.items()}, str(path))
    assert isinstance(proposal.source, Source) and proposal.columns["text"] == "body"
    topics = Topics("single", tuple(proposal.topics) or ("a", "b"))
    frame, _ = read_labelled_rows(path, topics, [], proposal.source)
    assert len(frame) == 6 and frame["id"].is_unique
