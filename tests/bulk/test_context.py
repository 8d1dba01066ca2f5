"""Bulk prediction reads the context of a text in articles, and in columns of tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.bulk import jobs
from paratopic.bulk.formats import Chunk, Columns, with_context
from paratopic.inference.model import Model
from paratopic.inference.prediction import Prediction
from paratopic.project.passages import Passage
from tests.bulk.bulk_runs import predicted
from tests.documents import save, write_table
from tests.samples import paragraph_table, row_passages

TEXTS = [
    "A tariff on goods and a quota.",
    "The talks went on.",
    "The army left the border.",
    "Officials said so.",
    "The chip and the app.",
]
ARTICLE = "# The Navy\n\n## Customs\n\n" + "\n\n".join(TEXTS)


def written(model: Model, path: Path) -> list[float]:
    """Confidences that a run writes for the rows of an input."""
    return [float(row["confidence"]) for row in predicted(model, path)]


def confidences(predictions: Sequence[Prediction]) -> Any:
    """Confidences of predictions up to rounding, because sums depend on the size of the batch."""
    return pytest.approx([row.confidence for row in predictions], rel=1e-12)


any_format = pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])


@pytest.mark.usefixtures("small_shards")
def test_an_article_is_predicted_as_by_predict_article(reading: Model, tmp_path: Path) -> None:
    """The paragraphs fill two shards, whose first and last ones have both neighbours, too."""
    expected = reading.predict_article(TEXTS, ["Customs"] * len(TEXTS), "The Navy")
    assert written(reading, save(tmp_path, "news.md", ARTICLE)) == confidences(expected)
    assert confidences(expected) != confidences(reading.predict(TEXTS))


@any_format
def test_neighbours_heading_and_title_of_a_table_are_read(
    reading: Model, tmp_path: Path, suffix: str
) -> None:
    table = pd.DataFrame(
        {
            "text": TEXTS,
            "text_preceding": ["", "The tariff.", "", "The tariff.", ""],
            "text_following": ["The navy.", "The navy.", "", "", ""],
            "heading": ["", "", "The Navy / Chips", "Duty", ""],
            "title": ["", "", "The Navy", "The missile", ""],
        }
    )
    expected = reading.predict(
        [
            Passage(TEXTS[0], after="The navy."),
            Passage(TEXTS[1], "The tariff.", "The navy."),
            Passage(TEXTS[2], heading="Chips", title="The Navy"),
            Passage(TEXTS[3], "The tariff.", heading="Duty", title="The missile"),
            Passage(TEXTS[4]),
        ]
    )
    path = write_table(table, tmp_path / f"in{suffix}")
    assert written(reading, path) == confidences(expected)
    assert expected[0] != reading.predict(TEXTS[0]) and expected[4] == reading.predict(TEXTS[4])


@any_format
def test_the_order_of_a_group_gives_the_neighbours(
    reading: Model, tmp_path: Path, suffix: str
) -> None:
    order = [3, 0, 4, 2, 1]
    table = pd.DataFrame({"text": [TEXTS[n] for n in order], "group": "a", "position": order})
    other = pd.DataFrame({"text": TEXTS[:2], "group": ["b", "c"], "position": [0, 1]})
    path = write_table(pd.concat([table, other]), tmp_path / f"in{suffix}")
    article = reading.predict_article(TEXTS)
    expected = [*(article[n] for n in order), *reading.predict(TEXTS[:2])]
    assert written(reading, path) == confidences(expected)


def test_a_row_without_a_group_or_a_position_has_no_neighbours(
    reading: Model, tmp_path: Path
) -> None:
    texts = [TEXTS[n] for n in (0, 1, 2, 0, 2, 4)]
    groups = [None, "", None, "a", "a", "a"]
    table = pd.DataFrame({"text": texts, "group": groups}, dtype=object)
    table["position"] = pd.Series([1, 2, 3, None, 1, "second"], dtype=object)
    path = write_table(table, tmp_path / "in.jsonl")
    assert written(reading, path) == confidences(reading.predict(texts))


def test_a_row_with_an_error_is_no_neighbour(reading: Model, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": [TEXTS[0], None, TEXTS[2]], "group": 1, "position": range(3)})
    path = write_table(table, tmp_path / "in.jsonl")
    job = jobs.Job(reading, [path], "text")
    ((_, _, chunk),) = job.chunks(job.added)
    assert chunk.texts == [Passage(TEXTS[0], (), TEXTS[2]), None, Passage(TEXTS[2], TEXTS[0])]


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner),
    max_leaves=3,
) | st.sampled_from([10**400, -(10**400), float("nan"), "nan", "1e999", " "])
NAMES = ["group", "position", "text_preceding", "text_following", "heading", "title"]


@settings(max_examples=80)
@given(
    texts=st.lists(st.none() | st.text(max_size=3) | st.integers(0, 9), min_size=1, max_size=5),
    names=st.sets(st.sampled_from(NAMES)),
    data=st.data(),
)
def test_odd_values_in_columns_of_context_are_ignored(
    texts: list[Any], names: set[str], data: st.DataObject
) -> None:
    columns: Columns = {
        name: data.draw(st.lists(ODD, min_size=len(texts), max_size=len(texts))) for name in names
    }
    chunk = Chunk(None, texts, [None] * len(texts), 1.0)
    read = with_context(chunk, columns).texts
    assert [text.text if isinstance(text, Passage) else text for text in read] == texts
    for row, passage in enumerate(read):
        if isinstance(passage, Passage):
            cells = [columns[name][row] for name in NAMES[2:] if name in columns]
            sources = tuple(cell for cell in [*cells, *texts] if isinstance(cell, str))
            for part in (*passage.before, *passage.after, passage.heading, passage.title):
                assert any(source.endswith(part) for source in sources)


def test_given_neighbours_lead_on_to_rows_further_away_as_in_training() -> None:
    texts = ["A.", "B.", "C.", "D."]
    columns: Columns = {
        "text_preceding": [None, "A.", "B.", "C."],
        "text_following": ["B.", "C.", "D.", "Elsewhere."],
    }
    chunk = with_context(Chunk(texts, texts, [None] * 4, 1.0), columns)
    assert chunk.texts[2] == Passage("C.", ["A.", "B."], ["D.", "Elsewhere."])
    before = ["", *texts[:3]]
    frame = paragraph_table(text=texts, before=before, after=columns["text_following"])
    assert chunk.texts == row_passages(frame)
