"""Findings in words: sentences to cite, notes, and what further labels would bring.

The figures are those of `groups`. No file is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

import numpy as np
import pandas as pd

from paratopic.corpus.table import PARAGRAPHS_SCHEMA, PERIODS, UNKNOWN, describe_size
from paratopic.evaluation.intervals import LEAST_LABELS, margin, write_p
from paratopic.findings.groups import (
    BORROWED,
    COLUMNS,
    COUNT,
    FEW,
    Findings,
    abridged,
    find,
    periods_of,
    short,
)
from paratopic.findings.population import Corpus, Counted
from paratopic.project.errors import in_short, plural, signed
from paratopic.project.topics import NO_TOPIC

# Groups whose lack of labels is listed, and that the report has of a column that is no period.
MOST_LISTED, MOST_GROUPS = 8, 12
# Halves of intervals that labels may be wanted for.
NARROW = (0.1, 0.05, 0.02)
# Numbers of labels in each group for which widths of intervals are planned.
PLANNED = (LEAST_LABELS, 50, 100)
# What shares are of → what counts equally much.
COUNTS: Mapping[Counted, str] = {
    "paragraphs": "All paragraphs count equally.",
    "words": "All words count equally.",
    "articles": "All articles count equally; an article has a topic if any of its paragraphs has "
    "it.",
}
# Articles from which on intervals for further articles are reliable.
FEW_ARTICLES = 30
# The method, to cite.
PREDICTED = (
    "Shares are mean probabilities by models that did not learn from the paragraph's article "
    "(cross-prediction: Zrnic & Candès 2024, arXiv:2309.16598), corrected with the labels drawn at "
    "random (prediction-powered inference: Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453)."
)
GIVEN = (
    "Shares are means of {}, corrected with the labels drawn at random (prediction-powered "
    "inference: Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453). This is valid only if "
    "whatever made the predictions has seen none of these labels."
)
LABELS_ALONE = (
    "Shares are those of the labels drawn at random alone. Predictions, which narrow intervals, "
    "are used if labels with topics are from at least 4 articles, and models are measured by "
    "cross-validation (below 2,000 labels, or with split.holdout: null in params.yaml)."
)
INTERVALS = (
    "Intervals are Wilson's (1927), for as many independent labels as would leave the same "
    "uncertainty."
)
EFFECTIVE = "effective labels: the number of labels drawn at random that would be worth as much."


def sentence(findings: Findings, corpus: Corpus, confidence: float) -> str:
    """A sentence to cite: the clearest change, or else the largest share of a topic."""
    has, of = ("are about", "about")
    if corpus.counted == "articles":
        has, of = "have a paragraph about", "with a paragraph about"
    basis, n = _basis(findings, corpus), f"{len(corpus.rows):,} {corpus.row_name}"
    what = f"share of the {corpus.counted}"
    changes = findings.changes[~findings.is_trend]
    changes = changes[changes["low"].notna() & (changes["topic"] != NO_TOPIC)]
    if len(changes) and findings.compared:
        # Between two counts, intervals have no width.
        clarity = changes["change"].abs() / (changes["high"] - changes["low"]).clip(lower=1e-9)
        row = changes.iloc[int(clarity.argmax())]
        # Decades, such as "1960s", have an article.
        one, other = (f"the {name}" if name.endswith("0s") else name for name in findings.compared)
        change, low, high = (100 * row[name] for name in ("change", "low", "high"))
        interval = f"({confidence:.0%} interval {signed(low, 0)} to {signed(high, 0)})"
        lead = (
            f"To cite: the {what} {of} {row['topic']} is {abs(change):.0f} points "
            f"{'higher' if change > 0 else 'lower'} in {one} than in {other}"
        )
        if low == high:
            return f"{lead}. This is a count: all paragraphs of both are labelled."
        if low <= 0 <= high:
            return (
                f"To cite: no topic's {what} differs significantly between {other} and {one}; "
                f"the largest difference is that of {row['topic']}, {signed(change, 0)} points "
                f"{interval}, {basis}{_trends(findings)}"
            )
        return f"{lead} {interval}, {basis}"
    whole = findings.table[: len(corpus.outcomes)]
    whole = whole[whole["topic"] != NO_TOPIC]
    row = whole.iloc[int(whole["share"].argmax())]
    share, low, high = (100 * row[name] for name in ("share", "low", "high"))
    begin = f"To cite: {share:.0f}% of the {corpus.counted} {has} {row['topic']}"
    if row["rests_on"] == COUNT:
        return f"{begin}. This is a count: all {n} are labelled."
    return f"{begin} ({confidence:.0%} interval {low:.0f} to {high:.0f}%), {basis}"


def _basis(findings: Findings, corpus: Corpus) -> str:
    """What shares are estimated from, in words."""
    labels = "labelled articles" if corpus.counted == "articles" else "labels"
    n_labels = f"{findings.table['labels'].iloc[0]:,}"
    # Others than random labels count too, for less.
    drawn = f"{n_labels} {labels} drawn at random"
    if findings.is_effective:
        drawn = f"{len(corpus.labelled):,} labels, worth as many as {n_labels} drawn at random"
    n = f"{len(corpus.rows):,} {corpus.row_name}"
    if not corpus.predicts:
        return f"estimated for all {n} from {drawn}."
    predicted = "predictions" if corpus.predictor else "the model's predictions"
    return f"estimated from {predicted} for all {n}, corrected with {drawn}."


def _trends(findings: Findings) -> str:
    """Topics with a trend over all groups, where the first and the last one do not differ."""
    trends = findings.changes[findings.is_trend]
    clear = trends[(trends["low"] > 0) | (trends["high"] < 0)]
    topics = in_short([short(name) for name in clear["topic"]], MOST_LISTED)
    return topics and f" Over all groups, however, there is a trend in the share of {topics}."


def method(corpus: Corpus) -> str:
    """How the shares of a corpus were estimated, to cite."""
    if corpus.predictor:
        return f"{GIVEN.format(corpus.predictor)} {INTERVALS}"
    return f"{PREDICTED if corpus.predicts else LABELS_ALONE} {INTERVALS}"


def population(corpus: Corpus) -> str:
    """Which articles the intervals are about."""
    there = describe_size(corpus.rows)  # of a table without groups, no articles
    if corpus.clusters is None:
        line = f"Intervals are about these texts alone ({there})"
        return f"{line}. For further articles like these, add --new-articles."
    line = f"Intervals are about further articles like these ({there})"
    if corpus.n_articles >= FEW_ARTICLES:
        return f"{line}, of which they are treated as a random sample."
    return (
        f"{line}. With fewer than {FEW_ARTICLES} articles, such intervals are rough, and often too "
        "narrow."
    )


def clustering(corpus: Corpus) -> str:
    """What to mind in regressions on the rows of a corpus."""
    line = "In regressions, cluster standard errors by article."
    if corpus.n_articles >= FEW_ARTICLES:
        return line
    return (
        f"{line} With fewer than {FEW_ARTICLES} articles (there are {corpus.n_articles}), such "
        "errors are often too small."
    )


def marks(findings: Findings) -> list[str]:
    """What the marks of shares and effective labels mean; a line each."""
    lines = [EFFECTIVE] if findings.is_effective else []
    if (findings.table["rests_on"] == COUNT).any():
        lines.append(
            "= all paragraphs are labelled: the share is a count of these rows, not an estimate. "
            "For the shares of a larger corpus, add its other texts, without labels."
        )
    if (findings.table["rests_on"] == BORROWED).any():
        line = (
            f"* fewer than {LEAST_LABELS} labels, so no interval. Such a share assumes that the "
            "model makes the same errors in the group as elsewhere."
        )
        if findings.differ is not None and findings.errs_alike:
            line += f" A test found no evidence against this ({write_p(findings.differ)})."
        elif findings.differ is not None:
            p = write_p(findings.differ)
            line += f" A test contradicts this ({p}): do not report the shares marked *."
        lines.append(line)
    return lines


def notes(findings: Findings) -> list[str]:
    """What shares without an interval rest on, and what is missing; a line each."""
    lines = marks(findings)
    if lacking(findings):
        lines.append(_needed(findings))
    if findings.is_time and (findings.table.iloc[:, 0] == UNKNOWN).any():
        name = findings.table.columns[0]
        lines.append(f"{UNKNOWN}: no {name} is known; `dvc repro` lists dates that it cannot read.")
    if findings.compared is None:
        return lines
    # Why a difference that was asked for is not shown.
    groups, what = findings.groups, " minus ".join(findings.compared)
    n_labels = groups["labels"][groups["low"].isna()]
    few = [
        f"{name} has {n_labels[name]}"
        if n_labels[name] < LEAST_LABELS
        else f"{name} has them in too few articles"
        for name in findings.compared
        if name in n_labels
    ]
    needs = f"each of the two needs {LEAST_LABELS} labels, and"
    return [*lines, *([f"{what} is not shown: {needs} {', '.join(few)}."] if few else [])]


def lacking(findings: Findings) -> dict[str, int]:
    """How many labels more each group without an interval needs for one, or for a count."""
    groups = findings.groups
    few = groups["rests_on"].isin([BORROWED, FEW]) & (groups["labels"] < LEAST_LABELS)
    needed = (groups["n"].clip(upper=LEAST_LABELS) - groups["labels"])[few]
    return {str(name): int(n) for name, n in needed.items()}


def _needed(findings: Findings) -> str:
    """How many labels more the groups without an interval need, and how to draw them."""
    table, needed = findings.table, lacking(findings)
    listed = in_short([f"{abridged(name)}: {n}" for name, n in needed.items()], MOST_LISTED)
    keys = [str(name) for name in table if name not in COLUMNS]
    how = (
        f" Draw them: `paratopic label --random --by {quote(keys[0])} --n {sum(needed.values())}`."
    )
    how = how if len(keys) == 1 and findings.unit == "paragraphs" else ""
    larger = " Larger groups need fewer in all, such as --by decade." if "year" in keys else ""
    return (
        f"A group needs {LEAST_LABELS} labels for an interval; a smaller group needs labels of all "
        f"its {findings.unit}, for a count. Missing: {listed}.{how}{larger}"
    )


def counting(counted: Counted, copies: bool) -> str:
    """Say what counts equally much; the parameters are those of `Corpus` and `Corpus.masses`."""
    often = "each copy counts" if copies else "it counts once in each group"
    return f"{COUNTS[counted]} If a text occurs several times, {often}."


def outlook(findings: Findings, corpus: Corpus) -> list[str]:
    """Lines on what is not counted, and on how many labels more make all intervals narrow."""
    lines = []
    if corpus.frames:
        lines.append(
            f"These shares are of {in_short(list(corpus.frames), MOST_LISTED)} alone, from which "
            "all labels were drawn; `paratopic label --random` draws from all paragraphs."
        )
    if n := corpus.n_boilerplate:
        left_out = plural(n, "paragraph")
        lines.append(f"Not counted: {left_out} of boilerplate (prepare.skip_boilerplate).")
    if corpus.clusters is not None:
        lines.append("To narrow these intervals, add articles: more labels help less.")
        return lines
    whole, groups = findings.groups[:1], findings.groups[1:]
    draw = f"label more {corpus.row_name} drawn"
    how = {
        f"the whole corpus, {draw} at random": whole,
        f"all groups, {draw} by group": groups[:0] if lacking(findings) else groups,
    }
    for what, parts in how.items():
        wanted = labels_wanted(parts, corpus)
        halves = [f"about {n:,} for ± {100 * half:.0f} points" for half, n in wanted.items()]
        if halves:
            lines.append(f"To narrow the intervals of {what}: {', '.join(halves)}.")
    return lines


def labels_wanted(groups: pd.DataFrame, corpus: Corpus) -> dict[float, int]:
    """How many labels more, drawn at random from groups, make all their intervals narrow.

    The groups are rows of `Findings.groups`. Widths fall with the root of the number of labels, and
    of what is left to label. Better predictions, which more labels give too, are not counted on.

    Returns
    -------
    Half of the widest interval, such as 0.05 → number of labels; without halves that are reached.
    """
    wanted = {}
    for half in NARROW:
        wide = groups[groups["widest"] > half]
        # Where texts are from articles that were drawn, intervals do not count on what is left.
        shares = 1 / wide["n"] if corpus.articles is None else 0.0
        noise = (1 / wide["labels"] - shares) * (half / wide["widest"]) ** 2
        wanted[half] = int(np.ceil(1 / (shares + noise) - wide["labels"]).sum())
    return {half: n for half, n in wanted.items() if n}


def further_labels(findings: Findings, corpus: Corpus) -> tuple[int, str]:
    """How many labels to draw next, from each group if there are groups, and what they bring.

    It is 0 if all intervals are narrow, or if articles would narrow them rather than labels.
    """
    if needed := sum(lacking(findings).values()):
        return needed, "give each group an interval"
    groups = findings.groups
    groups = groups[1:] if len(groups) > 1 else groups
    wanted = {} if corpus.clusters is not None else labels_wanted(groups, corpus)
    half, n = next(iter(wanted.items()), (0.0, 0))
    return n, f"narrow all intervals to about ± {100 * half:.0f} points"


def plan(
    groups: Mapping[str, tuple[int, int, int]], known: tuple[str, float] | None, confidence: float
) -> list[str]:
    """Say before labelling how wide the intervals of groups will be, without help of predictions.

    Parameters
    ----------
    groups
        Group → the numbers of its labels, of the paragraphs that are drawn from it, and of all its
        paragraphs.
    known
        The most frequent topic so far and its share; None where nothing is known.
    """
    after = sorted(n_labels + n_drawn for n_labels, n_drawn, _ in groups.values())
    few = sum(n_labels + n < min(LEAST_LABELS, size) for n_labels, n, size in groups.values())
    largest = max(size for _, _, size in groups.values())
    of_shares = [(0.5, "")] + ([(known[1], f" ({known[0]} so far)")] if known else [])

    def width(n: int) -> str:
        halves = (margin(share, min(n, largest), largest, confidence) for share, _ in of_shares)
        each = zip(halves, of_shares, strict=True)
        return "about " + ", ".join(
            f"± {100 * half:.0f} points at a share of {share:.0%}{topic}"
            for half, (share, topic) in each
        )

    between = f"{after[0]} to {after[-1]}" if after[0] < after[-1] else f"{after[0]}"
    if few:
        lacking = plural(few, "group has", "groups have")
        lines = [f"After this draw, {lacking} fewer than {LEAST_LABELS} labels, so no interval"]
    else:
        lines = [f"After this draw, each group has {between} labels: {width(after[0])}"]
    for n in sorted({min(n, largest) for n in PLANNED}):
        smaller = [f"all {size} of {name}" for name, (*_, size) in groups.items() if size < n]
        each = f"{n} labels in each group{', or ' if smaller else ''}{in_short(smaller)}"
        more = sum(max(0, min(n, size) - n_labels) for n_labels, _, size in groups.values())
        if n > after[0] and more:
            lines.append(f"{each} (--n {more}): {width(n)}")
    return lines


@dataclass(frozen=True)
class Overview:
    """What the report has of a corpus.

    Parameters
    ----------
    by
        Shares by the columns of `_columns`; empty where there is none.
    sentences
        Sentences to cite: of all paragraphs, and of the groups if there are any.
    outlook
        How many labels more would make the intervals narrow; empty where they are.
    counting
        What counts equally much.
    method
        How shares were estimated, and what intervals are about.
    """

    whole: Findings
    by: Mapping[str, Findings]
    sentences: Sequence[str]
    outlook: Sequence[str]
    counting: str
    method: str


def overview(
    corpus: Corpus, confidence: float, seed: int, drawn_by: Collection[str] = ()
) -> Overview:
    """Estimate what the report has of a corpus; the parameters are those of `find`.

    Of columns by whose groups labels were drawn, periods are shown before others.
    """
    whole = find(corpus, [], confidence)
    names = _columns(corpus, confidence, drawn_by)
    by = {name: find(corpus, [name], confidence, seed=seed) for name in names}
    sentences = [sentence(each, corpus, confidence) for each in (whole, *by.values())]
    return Overview(
        whole,
        by,
        sentences=list(dict.fromkeys(sentences)),
        outlook=outlook(whole, corpus),
        counting=counting(corpus.counted, copies=True),
        method=f"{method(corpus)} {population(corpus)}",
    )


def _columns(corpus: Corpus, confidence: float, drawn_by: Collection[str]) -> list[str]:
    """Columns to divide a corpus by: a period, and others with few values, such as source.

    The period is the shortest with which half of the shares have intervals, or else the shortest of
    all; if labels were drawn by periods, one of these. The other columns have at most `MOST_GROUPS`
    values, and half of their shares intervals.
    """
    periods, apart = periods_of(corpus.rows), {*PARAGRAPHS_SCHEMA.names, *PERIODS, *COLUMNS}
    n_values = corpus.rows[[name for name in corpus.rows if name not in apart]].nunique()
    few = map(str, n_values.index[n_values.between(2, MOST_GROUPS)])

    def is_known(name: str) -> bool:
        return bool(find(corpus, [name], confidence).parts["low"].notna().mean() >= 0.5)

    periods = [name for name in periods if name in drawn_by] or periods
    period = next(filter(is_known, periods), *periods[:1]) if periods else None
    return [*([period] if period else []), *filter(is_known, few)]
