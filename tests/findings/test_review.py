"""Doubtful labels: their reasons and order, and the command that lists them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.annotation import exchange
from paratopic.corpus.labelled import read_labelled, read_labelled_paragraphs
from paratopic.corpus.table import write_metadata
from paratopic.findings.review import CONTRADICTED, DUPLICATE, rank_doubtful, read_scores
from paratopic.project.files import Paths
from paratopic.project.params import read_params
from paratopic.project.topics import Topics
from tests.documents import read_sheet
from tests.programs import Cli
from tests.samples import WORDS, copy_settings, paragraph_table, write_labelled

NAMES = tuple(WORDS)
TOPICS = Topics("single", NAMES)


def frame(labels: list[list[str]], texts: list[str] | None = None) -> pd.DataFrame:
    numbers = range(len(labels))
    ids = [f"p{i:03}" for i in numbers]
    texts = texts or [f"word{i} is {i} and only {i} of its own" for i in numbers]
    return pd.DataFrame({"id": ids, "text": texts, "label": labels})


def scores(given: list[list[float]], repeat: int = 0) -> pd.DataFrame:
    table = pd.DataFrame(given, columns=TOPICS.score_columns)
    table = table.assign(id=[f"p{i:03}" for i in range(len(given))], repeat=repeat, fold=0)
    return table.assign(**dict.fromkeys(TOPICS.threshold_columns, 1.0))


def test_doubt_is_the_probability_of_topics_that_the_label_lacks() -> None:
    labels = [["trade"], ["technology", "security"], [], ["security"]]
    one = scores([[0.7, 0.2, 0.1]] * 4)
    other = scores([[0.5, 0.4, 0.1]] * 4)
    table = rank_doubtful(frame(labels), [one, other], TOPICS).set_index("paragraph")
    assert table["doubt"].to_dict() == pytest.approx(
        {"p000": 0.4, "p001": 0.6, "p002": 0.6, "p003": 0.9}
    )
    assert table["label"].sort_index().tolist() == [tuple(names) for names in labels]
    assert (table["suggestion"] == "trade").all()
    assert table["confidence"].to_numpy() == pytest.approx(0.6)
    assert list(table.index) == ["p003", "p001", "p002", "p000"]
    assert table["reason"].tolist() == [CONTRADICTED] * 3 + [""]
    # A label is not contradicted by its second topic.
    second_topic = scores([[0.1, 0.9, 0.0]] * 2)
    table = rank_doubtful(frame([["trade", "technology"], ["trade"]]), [second_topic], TOPICS)
    assert table["paragraph"].tolist() == ["p001", "p000"]
    assert table["reason"].tolist() == [CONTRADICTED, ""]


def test_models_that_disagree_or_are_unsure_contradict_no_label() -> None:
    one = scores([[0.9, 0.05, 0.05], [0.4, 0.35, 0.25], [0.9, 0.05, 0.05], [0.4, 0.3, 0.3]])
    other = scores([[0.05, 0.05, 0.9], [0.4, 0.35, 0.25], [0.8, 0.1, 0.1], [0.4, 0.3, 0.3]])
    labels = [["trade"], ["trade"], ["trade"], []]
    table = rank_doubtful(frame(labels), [one, other], TOPICS).set_index("paragraph")
    unsure = {"p000": True, "p001": True, "p002": False}
    # The last label is none of the topics, so it cannot be unsure.
    assert table["unsure"].to_dict() == unsure | {"p003": False}
    assert (table["reason"] == "").all()


def test_near_duplicates_with_conflicting_labels() -> None:
    text = " ".join(word for words in WORDS.values() for word in words)
    texts = [text, text.upper(), text.replace("missile", "rocket"), "nothing of the kind", text]
    labels = [["trade"], ["trade", "security"], ["security"], ["security"], []]
    sure = scores([[1.0, 0.0, 0.0]] * 5)
    table = rank_doubtful(frame(labels, texts), [sure], TOPICS).set_index("paragraph")
    reasons = table["reason"]
    assert reasons["p000"] == "near-duplicate of p002 (security)"
    assert reasons["p001"] == "near-duplicate of p004 (none of the topics)"
    assert reasons["p002"] == "near-duplicate of p000 (trade)"
    assert reasons["p003"] == CONTRADICTED
    # The scores are sure of the first label, but two of four near-duplicates conflict with it.
    assert table["doubt"]["p000"] == 0.5
    # Equal labels are no conflict, and one common topic is none either.
    same = rank_doubtful(frame([[], [], ["trade"]], [text, text, "x"]), [sure], TOPICS)
    assert not same["reason"].str.startswith(DUPLICATE).any()
    # Near-duplicates need no scores.
    texts = ["one and the same", "One and the same", "x"]
    rows = frame([["trade"], ["security"], ["trade"]], texts)
    table = rank_doubtful(rows, [scores([])], TOPICS)
    assert table["doubt"].tolist() == [0.5, 0.5, 0.0]
    assert table["suggestion"].tolist() == ["", "", ""]
    assert table["reason"].tolist()[2] == ""


probability = st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=3, max_size=3)
labelled = st.tuples(st.sets(st.sampled_from(NAMES)).map(sorted), probability, st.integers(0, 4))


@settings(max_examples=60)
@given(st.lists(labelled, min_size=1, max_size=25))
def test_every_label_is_ranked_once(items: list[tuple[list[str], list[float], int]]) -> None:
    rows = frame([label for label, _, _ in items], [f"text number {kind}" for _, _, kind in items])
    likely = np.array([given for _, given, _ in items])
    table_of_scores = scores((likely / likely.sum(axis=1, keepdims=True)).tolist())
    table = rank_doubtful(rows, [table_of_scores], TOPICS)
    assert sorted(table["paragraph"]) == rows["id"].tolist()
    assert table["doubt"].between(0, 1).all()
    keys = list(zip(-table["doubt"], table["paragraph"], strict=True))
    assert keys == sorted(keys)
    # The order of the rows and scores does not matter.
    again = rank_doubtful(
        rows.sample(frac=1, random_state=len(items)), [table_of_scores.iloc[::-1]], TOPICS
    )
    pd.testing.assert_frame_equal(again, table)


def change_scores(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    for path in Paths().scores.rglob("scores.parquet"):
        change(pd.read_parquet(path)).to_parquet(path)


def write_votes(*lines: str) -> None:
    rows = "".join(f"{line}\n" for line in lines)
    Path("seeds/labels.csv").write_text(f"paragraph,topics,text,annotator\n{rows}")


@pytest.fixture
def here(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with three labelled paragraphs, one of them labelled wrongly."""
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    copy_settings(here)
    params = read_params(Paths().params)
    n = len(params.topics.names)
    rows = frame([["trade"], ["security"], ["trade", "technology"]])
    made = paragraph_table(**{str(name): rows[name] for name in rows}, label_source=["hand"] * 3)
    write_labelled(made)
    write_metadata(
        pd.DataFrame({"id": rows["id"], "speaker": [None, "Ann", "Bo"]}), Paths().metadata
    )
    likely = np.full((3, n), 0.1 / (n - 1))
    likely[:, params.topics.names.index("trade")] = 0.9
    table = pd.DataFrame(likely, columns=params.topics.score_columns)
    table = table.assign(
        id=rows["id"], repeat=0, **dict.fromkeys(params.topics.threshold_columns, 0.5)
    )
    for model in params.models:
        path = Paths().scores / model / "scores.parquet"
        path.parent.mkdir(parents=True)
        table.to_parquet(path)
    return here


def test_the_command_lists_and_writes_doubtful_labels(here: Path, cli: Cli) -> None:
    printed = cli("review")
    assert "1 of 3 hand labels doubtful (1 listed)" in printed
    assert "(suggestion: trade, mean of the models 0.90)" in printed
    assert printed.startswith("row 3  p001 (speaker Ann)")
    assert "word1 is 1" in printed and "word0" not in printed
    assert not list(here.glob("*.csv"))
    cli("review", "--out", "again.csv")
    lines = Path("again.csv").read_text(encoding="utf-8").splitlines()
    assert lines == [
        ",".join(exchange.SHEET),
        f"p001,?,word1 is 1 and only 1 of its own,,trade,0.90,{CONTRADICTED},,,,",
    ]


def test_the_command_says_that_no_label_is_doubtful(here: Path, cli: Cli) -> None:
    rows = read_labelled_paragraphs(Paths())
    write_labelled(rows[rows["id"] != "p001"])
    change_scores(lambda table: table[table["id"] != "p001"])
    assert cli("review") == "0 of 2 hand labels doubtful (0 listed)\n"


def test_the_list_fits_80_columns_and_shows_id_and_line(here: Path, cli: Cli) -> None:
    """One paragraph has votes of two annotators, on lines 3 and 5 of labels.csv."""
    long = f"a-report-with-a-very-long-name-on-the-talks-of-the-two-{'delegations-' * 2}:0123456789"
    write_labelled(read_labelled_paragraphs(Paths()).replace({"id": {"p001": long}}))
    change_scores(lambda table: table.replace({"id": {"p001": long}}))
    vote = f"{long},security,x"
    write_votes("p000,trade,x,ann", f"{vote},ann", "p002,trade,x,ann", f"{vote},bo")
    printed = cli("review")
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.startswith("line 3, 5  ")
    assert long in "".join(line.removeprefix("line 3, 5").strip() for line in printed.splitlines())


def test_ties_come_first_and_weak_labels_are_no_hand_labels(here: Path, cli: Cli) -> None:
    write_votes("p001,security,x,ann", "p001,trade,x,bo")
    printed = cli("review", "--out", "again.csv")
    assert printed.startswith("line 2, 3  p001 (speaker Ann)") and "1 tie (1 listed)" in printed
    assert "ann: security; bo: trade: a tie between annotators" in printed
    first = read_sheet("again.csv")[0]
    assert "tie" in first["reason"] and first["when"]  # so that an answer in it is the latest
    Path("seeds/labels.csv").unlink()
    write_labelled(read_labelled_paragraphs(Paths()).assign(label_source="weak"))
    params = read_params(Paths().params)
    assert read_scores(Paths(), read_labelled(Paths(), params.topics), params.models)[0].empty
    assert "hand label" in cli("review", status=1)


def test_missing_and_outdated_files_are_errors(here: Path, cli: Cli) -> None:
    write_labelled(read_labelled_paragraphs(Paths())[1:])
    assert "dvc repro" in cli("review", status=1)
    for path in (Paths().scores / "transformer" / "scores.parquet", Paths().paragraphs):
        path.unlink()
        message = cli("review", status=1)
        assert str(path) in message and "dvc repro" in message
