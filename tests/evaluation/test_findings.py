"""Findings of a corpus: what counts, how it is divided, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.metadata import UNKNOWN
from paratopic.evaluation.figures import draw_shares
from paratopic.evaluation.findings import (
    ALL,
    BORROWED,
    Corpus,
    corpus_of,
    distinct_texts,
    find,
    group,
    overview,
    period_of,
    sampled_rows,
    sentence,
)
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics

TOPICS = Topics("single", ("trade", "security"))
N = 240


def table(**columns: Any) -> pd.DataFrame:
    """A paragraph table: 240 paragraphs of 60 articles, the first 80 drawn and labelled."""
    rng = np.random.default_rng(0)
    labels = [["trade"], ["security"], []]
    frame = pd.DataFrame(
        {
            "id": [f"a{n // 4}:{n}" for n in range(N)],
            "article": [f"a{n // 4}" for n in range(N)],
            "text": [f"text {n} " + "word " * (n % 3) for n in range(N)],
            "topics": [labels[k] for k in rng.integers(0, 3, N)],
            "label_source": ["hand" if n < 80 else "none" for n in range(N)],
            "draw": ["paragraph" if n < 80 else "" for n in range(N)],
            "weight": [1.0 if n < 80 else np.nan for n in range(N)],
        }
    )
    order = rng.permutation(N)  # so that what is labelled is no run of articles
    frame[["id", "article", "text"]] = frame[["id", "article", "text"]].iloc[order].to_numpy()
    return frame.assign(**columns)


def corpus(frame: pd.DataFrame, about: pd.DataFrame | None = None) -> Corpus:
    """The corpus of a table, whose model says nothing."""
    _, first = distinct_texts(frame)
    hand = frame[frame["label_source"] == "hand"]
    scores = pd.DataFrame({"id": hand["id"], "trade": 0.3, "security": 0.3})
    predicted = np.full((len(first), 2), 0.3)
    about = frame[["id"]] if about is None else about
    rows = sampled_rows(frame, scores, TOPICS)
    return corpus_of(frame, about, predicted, rows, scores, TOPICS)


def dated(frame: pd.DataFrame) -> pd.DataFrame:
    """The first half of the articles is of April, the others of September, one of no date."""
    number = frame["article"].str[1:].astype(int)
    date = pd.Series(np.where(number < 30, "2025-04-02", "2025-09-15"), dtype=object)
    date[number == 59] = None
    source = np.where(number % 2 == 0, "Post", "Times")
    return pd.DataFrame({"id": frame["id"], "date": date, "source": source})


def test_all_of_a_corpus_is_what_its_labels_say() -> None:
    frame = table()
    findings = find(corpus(frame), [], 0.95)
    shares = dict(zip(findings.table["topic"], findings.table["share"], strict=True))
    labels = frame["topics"][:80].map(len)
    assert shares["none of the topics"] == pytest.approx((labels == 0).mean())
    assert sum(shares.values()) == pytest.approx(1)
    assert (findings.table["labels"] == 80).all()
    assert (findings.table["paragraphs"] == N).all()


def test_copies_words_and_articles_count_as_asked() -> None:
    frame = table()
    frame.loc[100:109, "text"] = "the same words here"
    whole = corpus(frame)
    everywhere = np.ones(N)
    assert whole.masses(everywhere, "paragraphs", copies=True).max() == 10
    assert whole.masses(everywhere, "paragraphs", copies=False).max() == 1
    words = whole.masses(everywhere, "words", copies=True)
    assert words.sum() == frame["text"].str.split().map(len).sum()
    assert whole.masses(everywhere, "articles", copies=True).sum() == pytest.approx(60)


def test_periods_follow_each_other_and_what_has_no_date_comes_last() -> None:
    frame = table()
    whole = corpus(frame, dated(frame))
    months = group(whole.rows, ["month"])
    assert months.keys == (("2025-04",), ("2025-09",), (UNKNOWN,))
    assert [months.times[key] for key in months.keys[:2]] == [24303, 24308]
    assert np.sum(months.members, axis=0).tolist() == [1] * N
    pairs = group(whole.rows, ["month", "source"])
    assert ("2025-04", "Post") in pairs.keys and not pairs.times
    sources = group(whole.rows, ["source"])
    assert sources.keys == (("Post",), ("Times",)) and not sources.times


def test_numbers_are_in_their_order_and_not_in_that_of_words() -> None:
    frame = table()
    year = frame["article"].str[1:].astype(int).map(lambda n: "9" if n < 30 else "10")
    whole = corpus(frame, pd.DataFrame({"id": frame["id"], "volume": year}))
    assert group(whole.rows, ["volume"]).keys == (("9",), ("10",))


@pytest.mark.parametrize(
    ("dates", "period"),
    [
        ([None], None),
        (["2025-04-02", "2025-04-09"], None),
        (["2025-04", "2025-05-01", None], "month"),
        (["2024", "2025-05-01"], "year"),
        (["2025", "2025-05-01"], None),
        ([f"{2020 + n // 12}-{n % 12 + 1:02}" for n in range(24)], "month"),
        ([f"{2020 + n // 12}-{n % 12 + 1:02}" for n in range(25)], "year"),
    ],
)
def test_periods_are_months_or_else_years(dates: list[str | None], period: str | None) -> None:
    assert period_of(pd.DataFrame({"date": dates})) == period
    assert period_of(pd.DataFrame({"source": dates})) is None


def test_an_overview_has_all_paragraphs_and_the_periods_if_there_are_several() -> None:
    frame = table()
    several = overview(corpus(frame, dated(frame)), 0.95)
    assert several.period == "month" and several.by_period is not None
    assert several.by_period.table["month"].iloc[0] == ALL
    assert len(several.sentences) == 2
    one = overview(corpus(frame), 0.95)
    assert (one.period, one.by_period, len(one.sentences)) == (None, None, 1)
    pd.testing.assert_frame_equal(one.whole.table, several.whole.table)


def test_the_last_period_is_compared_with_the_first_or_as_asked() -> None:
    frame = table()
    whole = corpus(frame, dated(frame))
    changes = find(whole, ["month"], 0.95).changes
    assert set(changes["what"]) == {"2025-09 minus 2025-04"}
    assert changes["change"].sum() == pytest.approx(0)
    other = find(whole, ["month"], 0.95, compare=("2025-04", "2025-09")).changes
    assert other["change"].to_numpy() == pytest.approx(-changes["change"].to_numpy())
    with pytest.raises(UserError, match="--compare May: there is no such part: 2025-04"):
        find(whole, ["month"], 0.95, compare=("May", "2025-09"))


def test_a_part_with_few_labels_has_no_interval_and_says_what_it_rests_on() -> None:
    frame = table()
    findings = find(corpus(frame, dated(frame)), ["month"], 0.95)
    unknown = findings.table[findings.table["month"] == UNKNOWN]
    assert (unknown["rests_on"] == BORROWED).all() and unknown["low"].isna().all()
    assert findings.table["month"].iloc[0] == ALL


def test_the_sentence_has_the_figures_of_the_table() -> None:
    frame = table()
    whole = corpus(frame, dated(frame))
    findings = find(whole, [], 0.95)
    topical = findings.table[findings.table["topic"] != "none of the topics"]
    row = max(topical.to_dict("records"), key=lambda row: float(row["share"]))
    text = sentence(findings, whole, 0.95)
    assert f"{100 * row['share']:.0f} % of the paragraphs are about {row['topic']}" in text
    assert f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %" in text
    change = sentence(find(whole, ["month"], 0.95), whole, 0.95)
    assert "between 2025-04 and 2025-09 no share differs by more than chance" in change


def test_what_cannot_be_estimated_is_refused_with_what_is_missing() -> None:
    with pytest.raises(UserError, match="nothing tells how the labelled paragraphs were chosen"):
        corpus(table(draw="", weight=np.nan))
    few = table()
    few.loc[12:, "weight"] = np.nan
    with pytest.raises(UserError, match="12 paragraphs that were drawn .* label 8 more"):
        find(corpus(few), [], 0.95)
    articles = table(draw=["article" if n < 80 else "" for n in range(N)])
    articles["article"] = [f"a{n % 5}" for n in range(N)]
    with pytest.raises(UserError, match="5 articles .* label 1 more"):
        find(corpus(articles), [], 0.95)
    whole = corpus(table())
    with pytest.raises(UserError, match="--by outlet: there is no such column; there are article"):
        find(whole, ["outlet"], 0.95)
    with pytest.raises(UserError, match="--by month: no paragraph has a date"):
        find(whole, ["month"], 0.95)


@pytest.mark.parametrize("columns", [[], ["source"], ["month"], ["month", "source"]])
@pytest.mark.filterwarnings("error")
def test_a_picture_is_the_same_bytes_whatever_is_drawn_before(
    columns: list[str], tmp_path: Path
) -> None:
    frame = table()
    findings = find(corpus(frame, dated(frame)), columns, 0.95)
    for suffix in ("png", "svg"):
        one, other = tmp_path / f"one.{suffix}", tmp_path / f"other.{suffix}"
        draw_shares(one, findings, columns, "Shares")
        draw_shares(other, findings, columns, "Shares")
        assert one.read_bytes() == other.read_bytes()
    text = one.read_text()
    assert all(topic in text for topic in ("trade", "security", "none of the topics"))
    assert ("2025-04" in text) == ("month" in columns) and UNKNOWN not in text


def test_a_picture_with_more_series_than_marks_is_refused(tmp_path: Path) -> None:
    frame = table()
    about = dated(frame).assign(desk=frame["article"].str[1:].astype(int) % 7)
    findings = find(corpus(frame, about.astype({"desk": str})), ["month", "desk"], 0.95)
    with pytest.raises(
        UserError, match="tells 6 values of the second column apart, and desk has 7"
    ):
        draw_shares(tmp_path / "chart.png", findings, ["month", "desk"], "Shares")


def test_of_several_topics_each_has_a_share_of_its_own(tmp_path: Path) -> None:
    frame = table()
    both = [["trade", "security"], ["security"], []]
    frame["topics"] = [both[n % 3] for n in range(N)]
    topics = Topics("multi", ("trade", "security"))
    _, first = distinct_texts(frame)
    scores = pd.DataFrame({"id": frame["id"][:80], "trade": 0.4, "security": 0.6})
    rows, predicted = sampled_rows(frame, scores, topics), np.full((len(first), 2), 0.4)
    whole = corpus_of(frame, dated(frame), predicted, rows, scores, topics)
    findings = find(whole, ["month"], 0.95)
    shares = dict(zip(findings.table["topic"], findings.table["share"], strict=False))
    labels = frame["topics"][:80]
    assert [*shares] == ["trade", "security"]
    for topic in shares:
        of_all = findings.table[findings.table["month"] == ALL].set_index("topic")["share"]
        assert of_all[topic] == pytest.approx(labels.map(lambda n, t=topic: t in n).mean())
    draw_shares(tmp_path / "chart.png", findings, ["month"], "Shares")
    assert "To cite:" in sentence(findings, whole, 0.95)
