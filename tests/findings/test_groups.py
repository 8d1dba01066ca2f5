"""Findings of a corpus: weights of texts, groups, sentences, charts and errors."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.table import LABEL_COLUMNS, UNKNOWN
from paratopic.findings.figures import plot_shares, share_chart
from paratopic.findings.groups import (
    ALL,
    BORROWED,
    COUNT,
    find_shares,
    group_rows,
    periods_of,
    rows_to_regress,
)
from paratopic.findings.population import Corpus, Counted, CrossPredictor, corpus_of
from paratopic.findings.share_tables import change_table
from paratopic.findings.wording import left_out, notes, overview, sentence
from paratopic.inference.modes import Scores
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topics
from tests.samples import paragraph_table

TOPICS = Topics("single", ("trade", "security"))
N = 240


def table(**columns: Any) -> pd.DataFrame:
    """A paragraph table: 240 paragraphs of 60 articles, the first 80 drawn and labelled."""
    rng = np.random.default_rng(0)
    labels = [["trade"], ["security"], []]
    frame = paragraph_table(
        id=[f"a{n // 4}:{n}" for n in range(N)],
        article=[f"a{n // 4}" for n in range(N)],
        text=[f"text {n} " + "word " * (n % 3) for n in range(N)],
        label=[labels[k] for k in rng.integers(0, 3, N)],
        label_source=["hand" if n < 80 else "none" for n in range(N)],
        draw=["paragraph" if n < 80 else "" for n in range(N)],
        weight=[1.0 if n < 80 else np.nan for n in range(N)],
    )
    order = rng.permutation(N)  # so that labelled paragraphs are from many articles
    frame[["id", "article", "text"]] = frame[["id", "article", "text"]].iloc[order].to_numpy()
    return frame.assign(**columns)


def make_corpus(
    frame: pd.DataFrame,
    fields: pd.DataFrame | None = None,
    counted: Counted = "paragraphs",
    mode: ModeName = "single",
) -> Corpus:
    """The corpus of a table, with a model that gives the same probability to all topics."""
    hand = frame[frame["label_source"] == "hand"]
    scores = pd.DataFrame({"id": hand["id"], "score trade": 0.3, "score security": 0.3})
    everything = without_labels(frame)
    everything = everything if fields is None else everything.merge(fields, on="id")
    topics = Topics(mode, TOPICS.names)
    return corpus_of(frame, everything, make_predictor(frame, scores), topics, counted)


def without_labels(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=[*LABEL_COLUMNS])


def make_predictor(
    frame: pd.DataFrame,
    scores: pd.DataFrame,
    unfolded: pd.DataFrame | None = None,
    probability: float = 0.3,
) -> CrossPredictor:
    """Out-of-fold scores of the labelled paragraphs, and a constant probability for all others."""
    names = [str(name) for name in scores if name not in ("id", "repeat")]
    others = frame.loc[frame["label_source"] == "none", ["id"]].assign(
        repeat=0, **dict.fromkeys(names, probability)
    )
    unfolded = scores[:0] if unfolded is None else unfolded
    return CrossPredictor(scores.assign(repeat=0), others, unfolded, unexpected_call)


def unexpected_call(ids: pd.Series) -> Scores:
    raise AssertionError("models of the folds have predicted all")


def dated(frame: pd.DataFrame) -> pd.DataFrame:
    """Dates in April for the first half of the articles, in September for others, none for one."""
    number = frame["article"].str[1:].astype(int)
    date = pd.Series(np.where(number < 30, "2025-04-02", "2025-09-15"), dtype=object)
    date[number == 59] = None
    source = np.where(number % 2 == 0, "Post", "Times")
    return pd.DataFrame({"id": frame["id"], "date": date, "source": source})


def dated_corpus() -> Corpus:
    return make_corpus(table(), dated(table()))


def check_shares(corpus: Corpus, labels: pd.Series, mode: ModeName) -> pd.DataFrame:
    """Check that topics are as frequent as in labels; returns the table of findings."""
    lines = find_shares(corpus, [], 0.95).table
    expected = {name: labels.map(lambda names, n=name: n in names).mean() for name in TOPICS.names}
    if mode == "single":
        expected["none of the topics"] = (labels.map(len) == 0).mean()
    assert dict(zip(lines["topic"], lines["share"], strict=True)) == pytest.approx(expected)
    return lines


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_shares_of_a_corpus_are_those_of_its_labels(mode: ModeName) -> None:
    frame = table()
    if mode == "multi":
        frame["label"] = [["trade", "security"], ["security"], []] * (N // 3)
    lines = check_shares(make_corpus(frame, mode=mode), frame["label"][:80], mode)
    assert (lines["labels"] == 80).all() and (lines["paragraphs"] == N).all()
    # An article has the topics of its paragraphs.
    frame = table_of_articles()
    labels = frame[frame["label_source"] == "hand"]
    article_labels = labels.groupby("article")["label"].sum()
    lines = check_shares(make_corpus(frame, mode=mode, counted="articles"), article_labels, mode)
    assert (lines["labels"] == 30).all() and (lines["articles"] == 60).all()


def test_topics_with_labels_in_no_fold_have_shares_from_labels_only() -> None:
    frame = table()
    frame["label"] = [["trade"] if n < 2 else [] for n in range(N)]
    hand, names = frame[:80], ["score trade", "score security"]
    scores = hand[["id"]].assign(**dict.fromkeys(names, 0.4))

    def shares(in_fold: pd.DataFrame, unfolded: pd.DataFrame | None) -> dict[str, float]:
        predictor = make_predictor(frame, in_fold, unfolded, 0.4)
        corpus = corpus_of(frame, without_labels(frame), predictor, TOPICS)
        lines = find_shares(corpus, [], 0.95).table
        assert (lines["labels"] == 80).all() and corpus.has_predictions == (unfolded is not None)
        return dict(zip(lines["topic"], lines["share"], strict=True))

    assert shares(scores[2:], scores[:2])["trade"] == pytest.approx(2 / 80)
    assert shares(scores[2:], None)["trade"] == pytest.approx(2 / 80)  # without predictions


@pytest.mark.parametrize("counted", ["paragraphs", "articles"])
def test_boilerplate_and_its_labels_do_not_count(counted: Counted) -> None:
    frame, predicted_ids = table(), list[str]()
    if counted == "articles":
        frame = frame.assign(label_source="hand", draw="article", weight=1.0, effective_count=1.0)
    frame["boilerplate"] = frame.groupby("article").cumcount() == 1
    frame["label"] = [["trade"] if slight else [] for slight in frame["boilerplate"]]
    hand = frame[frame["label_source"] == "hand"]
    scores = hand[["id"]].assign(**{"score trade": 0.3, "score security": 0.3})
    predictor = make_predictor(frame, scores)

    def final(ids: pd.Series) -> Scores:
        predicted_ids.extend(ids)
        return np.full((len(ids), 2), 0.3)

    # Models of the folds have predicted half of the others, so the final model predicts all.
    predictor = replace(predictor, unlabelled=predictor.unlabelled[::2], final=final)
    corpus = corpus_of(frame, without_labels(frame), predictor, TOPICS, counted)
    findings, n = find_shares(corpus, [], 0.95), int(frame["boilerplate"].sum())
    assert findings.table["share"].iloc[0] == pytest.approx(0)
    assert counted == "articles" or findings.table["paragraphs"].iloc[0] == N - n
    assert f"Not counted: {n} paragraphs of boilerplate" in left_out(corpus)[0]
    others = frame["id"][~frame["boilerplate"]].tolist()
    assert predicted_ids == ([] if counted == "articles" else others)


def test_copies_and_words_count_as_asked() -> None:
    frame = table()
    frame.loc[100:109, "text"] = "the same words here"
    corpus = make_corpus(frame)
    everywhere = np.ones(N)
    assert corpus.masses(everywhere, copies=True).max() == 10
    assert corpus.masses(everywhere, copies=False).max() == 1
    words = make_corpus(frame, counted="words").masses(everywhere, copies=True)
    assert words.sum() == frame["text"].str.split().map(len).sum()


def test_periods_follow_each_other_and_what_has_no_date_comes_last() -> None:
    rows = dated_corpus().rows
    months = group_rows(rows, ["month"])
    assert months.keys == (("2025-04",), ("2025-09",), (UNKNOWN,))
    assert np.diff([months.times[key] for key in months.keys[:2]]) == 5
    assert np.sum(months.members, axis=0).tolist() == [1] * N
    pairs = group_rows(rows, ["month", "source"])
    assert ("2025-04", "Post") in pairs.keys and not pairs.times
    sources = group_rows(rows, ["source"])
    assert sources.keys == (("Post",), ("Times",)) and not sources.times


@pytest.mark.parametrize("name", ["year", "month", "date"])
def test_a_date_that_cannot_be_read_is_unknown(name: str) -> None:
    rows = pd.DataFrame({"date": ["2025-04-02", "May 2024"]})
    assert group_rows(rows, [name]).keys[1:] == ((UNKNOWN,),)


def test_decades_and_numbers_are_sorted_as_numbers() -> None:
    decades = group_rows(pd.DataFrame({"date": ["1969", "1958-02", None]}), ["decade"])
    assert decades.keys == (("1950s",), ("1960s",), (UNKNOWN,))
    assert np.diff([decades.times[key] for key in decades.keys[:2]]) == 1
    # A column of the table may have the name of a period.
    assert not group_rows(pd.DataFrame({"month": ["May", "June"]}), ["month"]).times
    assert group_rows(pd.DataFrame({"volume": ["10", "9"]}), ["volume"]).keys == (("9",), ("10",))


@pytest.mark.parametrize(
    ("dates", "periods"),
    [
        ([None], []),
        (["2025-04-02", "2025-04-09"], []),
        (["2025-04", "2025-05-01", None], ["month"]),
        (["2024", "2025-05-01"], ["year"]),
        (["2025", "2025-05-01"], []),
        ([f"{2020 + n // 12}-{n % 12 + 1:02}" for n in range(24)], ["month", "year"]),
        ([f"{2020 + n // 12}-{n % 12 + 1:02}" for n in range(25)], ["year"]),
        (["2025-04-02", "2025-05-09", "March 2024", "2025-02-30"], ["month"]),
        (["March 2024", "May 2024"], []),
        (["1959", "1960-12"], ["year", "decade"]),
    ],
)
def test_periods_are_those_with_several_values(dates: list[str | None], periods: list[str]) -> None:
    assert periods_of(pd.DataFrame({"date": dates})) == periods
    assert periods_of(pd.DataFrame({"source": dates})) == []


def test_an_overview_has_the_shortest_periods_of_which_half_have_intervals() -> None:
    for years_between, period in ((1, "decade"), (10, "year")):
        years = [f"{1500 + years_between * (n % 40)}" for n in range(N)]
        fields = pd.DataFrame({"id": table()["id"], "date": years})
        assert [*overview(make_corpus(table(), fields), 0.95, seed=0).by] == [period]
    drawn = overview(make_corpus(table(), fields), 0.95, seed=0, drawn_by={"", "decade", "source"})
    assert [*drawn.by] == ["decade"]


def test_an_overview_has_all_paragraphs_and_the_periods_if_there_are_several() -> None:
    several = overview(dated_corpus(), 0.95, seed=0)
    one = overview(make_corpus(table()), 0.95, seed=0)
    # Columns with few values, half of which have intervals, are shown in addition to the period.
    assert [*several.by] == ["month", "source"] and len(several.sentences) == 3
    assert several.by["month"].table["month"].iloc[0] == ALL
    assert ([*one.by], len(one.sentences)) == ([], 1)
    pd.testing.assert_frame_equal(one.overall.table, several.overall.table)


def test_the_last_period_is_compared_with_the_first_or_as_asked() -> None:
    corpus = dated_corpus()
    findings = find_shares(corpus, ["month"], 0.95)
    changes = findings.changes
    assert set(changes["what"]) == {"2025-09 minus 2025-04"}
    assert changes["change"].sum() == pytest.approx(0)
    other = find_shares(corpus, ["month"], 0.95, compare=("2025-04", "2025-09")).changes
    assert other["change"].to_numpy() == pytest.approx(-changes["change"].to_numpy())
    # A part with few labels has no interval, and rests on those of all parts.
    unknown = findings.table[findings.table["month"] == UNKNOWN]
    assert (unknown["rests_on"] == BORROWED).all() and unknown["low"].isna().all()
    assert "(unknown): " in "\n".join(notes(findings))
    assert findings.table["month"].iloc[0] == ALL


def table_of_articles(n_articles: int = 30) -> pd.DataFrame:
    """The table with all paragraphs of the first articles drawn and labelled."""
    frame = table()
    is_drawn = frame["article"].str[1:].astype(int) < n_articles
    return frame.assign(
        label_source=np.where(is_drawn, "hand", "none"),
        draw=np.where(is_drawn, "article", ""),
        weight=np.where(is_drawn, 1.0, np.nan),
    )


def test_articles_count_if_each_of_their_texts_is_labelled() -> None:
    frame = table_of_articles()
    first = frame.index[frame["article"] == "a0"]
    frame.loc[first[0], "label_source"] = "none"
    assert len(make_corpus(frame, counted="articles").labelled) == 29
    frame.loc[first[0], "text"] = frame["text"][first[1]]  # a copy is labelled once
    assert len(make_corpus(frame, counted="articles").labelled) == 30


def test_shares_of_articles_are_corrected_by_predictions_out_of_fold() -> None:
    frame = table_of_articles()
    hand = frame[frame["label_source"] == "hand"]
    scores = pd.DataFrame({"id": hand["id"]})
    for name, column in zip(TOPICS.names, TOPICS.score_columns, strict=True):
        scores[column] = [0.9 if name in names else 0.05 for names in hand["label"]]
    predictor = make_predictor(frame, scores, probability=0.5)
    corpus = corpus_of(frame, without_labels(frame), predictor, TOPICS, "articles")
    labelled_probabilities = corpus.probabilities[corpus.labelled]
    assert (labelled_probabilities[:, :2] > 0.5).tolist() == (corpus.truth[:, :2] == 1).tolist()
    others = np.delete(corpus.probabilities, corpus.labelled, axis=0)
    assert (others[:, :2] == 0.5).all() and corpus.factor > 0.9


def test_articles_are_divided_by_what_all_their_paragraphs_share() -> None:
    frame = table_of_articles(60)
    fields = dated(frame).assign(desk=np.where(frame["article"] == "a7", frame["id"], "home"))
    corpus = make_corpus(frame, fields, "articles")
    findings = find_shares(corpus, ["month"], 0.95)
    sizes = findings.table.drop_duplicates("month").set_index("month")["articles"]
    assert sizes.to_dict() == {ALL: 60, "2025-04": 30, "2025-09": 29, UNKNOWN: 1}
    assert group_rows(corpus.rows, ["desk"]).keys == (("home",), (UNKNOWN,))
    assert "of the articles" in sentence(findings, corpus, 0.95)
    undivided = find_shares(corpus, [], 0.95)
    text = sentence(undivided, corpus, 0.95)
    assert "% of the articles" in text and "all 60 articles are labelled" in text
    assert (undivided.table["rests_on"] == COUNT).all()


def test_copies_of_articles_count_as_asked() -> None:
    frame = table_of_articles()
    frame = frame.sort_values("article", ignore_index=True)
    texts = frame["text"][frame["article"] == "a0"].to_numpy()
    frame.loc[frame["article"].isin(["a1", "a2"]), "text"] = np.tile(texts, 2)
    corpus = make_corpus(frame, counted="articles")
    assert corpus.masses(np.ones(60), copies=True).tolist() == [1] * 60
    assert sorted(corpus.masses(np.ones(60), copies=False))[:3] == pytest.approx([1 / 3] * 3)


def test_the_sentence_has_the_figures_of_the_table() -> None:
    corpus = dated_corpus()
    findings = find_shares(corpus, [], 0.95)
    topical = findings.table[findings.table["topic"] != "none of the topics"]
    row = max(topical.to_dict("records"), key=lambda row: float(row["share"]))
    text = sentence(findings, corpus, 0.95)
    assert f"{100 * row['share']:.0f}% of the paragraphs are about {row['topic']}" in text
    assert f"{100 * row['low']:.0f} to {100 * row['high']:.0f}%" in text
    few = corpus.labelled[:3]
    uneven = replace(corpus, weights=np.where(np.isin(corpus.labelled, few), 1e6, corpus.weights))
    assert "(no interval, because few" in sentence(find_shares(uneven, [], 0.95), uneven, 0.95)
    change = sentence(find_shares(corpus, ["month"], 0.95), corpus, 0.95)
    assert "significantly between 2025-04 and 2025-09" in change


@pytest.mark.parametrize("columns", [["outlet"], ["outlet", "desk"]])
def test_the_sentence_names_two_groups_whatever_they_are_called(columns: list[str]) -> None:
    frame = table()
    outlet = np.where(np.arange(N) % 2, "A minus B", "all")
    fields = pd.DataFrame({"id": frame["id"], "outlet": outlet, "desk": outlet})
    corpus = make_corpus(frame, fields)
    findings = find_shares(corpus, columns, 0.95)
    assert len(findings.table) == 9 and len(findings.parts) == 6  # three outcomes each
    text = sentence(findings, corpus, 0.95)
    assert "between A minus B" in text or "in A minus B" in text or "than in A minus B" in text


def test_samples_that_are_too_small_are_refused_with_the_missing_number() -> None:
    few = table()
    few.loc[12:, ["weight", "effective_count"]] = np.nan
    with pytest.raises(UserError, match="12 paragraphs drawn .* label 8 more"):
        make_corpus(few)
    articles = table(draw=["article" if n < 80 else "" for n in range(N)])
    articles["article"] = [f"a{n % 5}" for n in range(N)]
    with pytest.raises(UserError, match="5 articles .* label 1 more"):
        make_corpus(articles)
    more = r"19 articles .* label 1 more \(`paratopic label --random --articles`\)"
    with pytest.raises(UserError, match=more):
        make_corpus(table_of_articles(19), counted="articles")
    with pytest.raises(UserError, match="--by month: "):
        find_shares(make_corpus(table()), ["month"], 0.95)
    few = table_of_articles(3)
    few = few[few["article"].isin([f"a{n}" for n in range(5)])].reset_index(drop=True)
    with pytest.raises(UserError, match="need 20: .* only 5"):
        make_corpus(few, counted="articles")


@pytest.mark.parametrize(
    ("columns", "values"),
    [(["a"], [("(all)", ""), ("x", "")]), (["a", "b"], [("x", "y, z"), ("x, y", "z")])],
)
def test_parts_of_one_name_are_refused(columns: list[str], values: list[tuple[str, str]]) -> None:
    frame = table()
    pairs = [values[n % 2] for n in range(N)]
    fields = pd.DataFrame(pairs, columns=["a", "b"]).assign(id=frame["id"])
    with pytest.raises(UserError, match="two rows"):
        find_shares(make_corpus(frame, fields), columns, 0.95)


@pytest.mark.parametrize("columns", [["source"], ["month", "source"]])
@pytest.mark.filterwarnings("error")
def test_a_picture_is_the_same_after_others(columns: list[str], tmp_path: Path) -> None:
    findings = find_shares(dated_corpus(), columns, 0.95)
    for suffix in ("png", "svg"):
        one, other = tmp_path / f"one.{suffix}", tmp_path / f"other.{suffix}"
        plot_shares(one, findings, columns, "Shares")
        plot_shares(other, findings, columns, "Shares")
        assert one.read_bytes() == other.read_bytes()
    text = one.read_text()
    assert all(topic in text for topic in ("trade", "security", "none of the topics"))
    assert ("2025-04" in text) == ("month" in columns) and UNKNOWN not in text


def test_a_picture_has_the_difference_of_the_compared_groups(tmp_path: Path) -> None:
    findings, path = find_shares(dated_corpus(), ["month"], 0.95), tmp_path / "chart.svg"
    plot_shares(path, findings, ["month"], "Shares")
    text, changes = path.read_text(), change_table(findings)
    assert changes is not None and "minus 2025-04, in points<" in text
    for topic, difference in changes.rows:
        change, interval = difference.split(" ", 1)
        assert f"{topic}: {change}<" in text and f"{interval}<" in text


def test_labels_that_count_in_part_are_effective_labels() -> None:
    frame = table()
    half = make_corpus(frame.assign(effective_count=frame["effective_count"] / 2))
    for corpus, is_effective in ((make_corpus(frame), False), (half, True)):
        findings = find_shares(corpus, [], 0.95)
        n, all_of_them = findings.table["labels"].iloc[0], len(corpus.labelled)
        basis = f" {all_of_them} labels, worth as many as {n} drawn at random."
        assert findings.is_effective == is_effective
        assert (basis in sentence(findings, corpus, 0.95)) == is_effective
        assert any("effective labels" in note for note in notes(findings)) == is_effective


def test_a_line_keeps_the_distances_of_time_and_leads_to_no_share_of_few_labels() -> None:
    frame = table()
    number = frame["article"].str[1:].astype(int)
    months = np.select([number < 25, number < 30], ["2008-01", "2008-03"], "2011-04")
    findings = find_shares(make_corpus(frame, frame[["id"]].assign(date=months)), ["month"], 0.95)
    rests_on = findings.parts.drop_duplicates("month")["rests_on"]
    assert (rests_on == BORROWED).tolist() == [False, True, False]
    (axes,) = share_chart(findings, "trade").axes
    line = axes.get_lines()[0]
    places, shares = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert np.diff(places).tolist() == [2, 37] and np.isnan(shares).tolist() == [False, True, False]
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names == [f"{2008 + n // 2}-{'07' if n % 2 else '01'}" for n in range(7)]
    command = "`paratopic label --random --by month --n 16`"
    assert "2008-03: 16" in notes(findings)[1] and command in notes(findings)[1]
    small = find_shares(
        make_corpus(frame, frame[["id"]].assign(desk=(number % 30).astype(str))), ["desk"], 0.95
    )
    desks = small.parts.drop_duplicates("desk")
    n = (np.minimum(20, desks["paragraphs"]) - desks["labels"]).sum()
    assert f"--by desk --n {n}`" in notes(small)[1]


def test_values_that_follow_each_other_in_time_are_in_its_order() -> None:
    rows = pd.DataFrame(
        {
            "date": ["1953", "1948", "1953", "1961", "1959", "1961-02"],
            "president": ["Truman", "Truman", "Eisenhower", "Eisenhower", "Eisenhower", "Kennedy"],
            "party": ["D", "D", "R", "R", "R", "D"],
        }
    )
    assert group_rows(rows, ["president"]).keys == (("Truman",), ("Eisenhower",), ("Kennedy",))
    assert group_rows(rows, ["party"]).keys == (("D",), ("R",))  # as frequent, then by name


def test_a_picture_with_more_series_than_marks_is_refused(tmp_path: Path) -> None:
    frame = table()
    desks = (frame["article"].str[1:].astype(int) % 7).astype(str)
    fields = dated(frame).assign(desk=desks)
    findings = find_shares(
        make_corpus(frame, fields.astype({"desk": str})), ["month", "desk"], 0.95
    )
    with pytest.raises(UserError, match="6 values .* desk has 7"):
        plot_shares(tmp_path / "chart.png", findings, ["month", "desk"], "Shares")


def test_counts_have_no_intervals_and_a_difference_that_is_not_shown_says_why() -> None:
    frame = table(label_source="hand", draw="", weight=np.nan, effective_count=np.nan)
    frame["label"] = frame["label"].map(lambda names: names or [])
    months = np.where(frame["article"].str[1:].astype(int) < 30, "2025-04", "2025-09")
    corpus = make_corpus(frame, frame[["id"]].assign(date=months))
    findings = find_shares(corpus, ["month"], 0.95)
    assert findings.changes["low"].tolist() == findings.changes["high"].tolist()
    (_,), changes = notes(findings), change_table(findings)
    assert changes is not None and changes.rows[0][1].startswith("−")
    assert not any(" to " in row[1] for row in changes.rows)
    assert "a count" in sentence(findings, corpus, 0.95)
    few = table()
    months = np.where(few["id"].isin(few["id"].iloc[63:120]), "2025-04", "2025-09")
    findings = find_shares(make_corpus(few, few[["id"]].assign(date=months)), ["month"], 0.95)
    why = "2025-09 minus 2025-04 .*20 labels, and 2025-04 has 17"
    assert re.match(why, notes(findings)[-1])
    fields = few[["id"]].assign(date=months, desk=np.where(months == "2025-04", "one", "two"))
    findings = find_shares(make_corpus(few, fields), ["month", "desk"], 0.95)
    assert " and 2025-04, one has 17" in notes(findings)[-1]


def test_names_of_outcomes_to_regress_are_names_of_formulas() -> None:
    topics = Topics("single", ("trade", "Law & Order"))
    frame = table()
    new_names = {"trade": "trade", "security": "Law & Order"}
    frame["label"] = frame["label"].map(lambda names: [new_names[name] for name in names])
    hand = frame[frame["label_source"] == "hand"]
    scores = pd.DataFrame({"id": hand["id"], "score trade": 0.3, "score Law & Order": 0.3})
    predictor = make_predictor(frame, scores)
    corpus = corpus_of(frame, without_labels(frame), predictor, topics)
    rows, unknown = rows_to_regress(corpus, frame)
    assert not unknown and list(rows)[-3:] == ["topic_trade", "topic_Law___Order", "topic_none"]
    for column in ("topic_trade", "labelled"):
        fields = pd.DataFrame({"id": frame["id"], column: "x"})
        with pytest.raises(UserError, match=f"two columns .*{column}"):
            rows_to_regress(make_corpus(table(), fields), frame)
