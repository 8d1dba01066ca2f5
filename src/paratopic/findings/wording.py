"""Findings in words: sentences to cite, notes, and the effect of further labels on intervals.

`groups` has the figures. This module reads no files.
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
    find_shares,
    periods_of,
    short_name,
)
from paratopic.findings.population import Corpus, Counted
from paratopic.project.errors import plural, shortened_list, signed
from paratopic.project.topics import NO_TOPIC

# Number of groups that a message lists.
MOST_LISTED = 8
# Number of groups that the report shows of a column that is no period.
MOST_GROUPS = 12
# Half widths of intervals for which the number of labels is computed.
NARROW = (0.1, 0.05, 0.02)
# Numbers of labels in each group for which a plan has half widths.
PLANNED = (LEAST_LABELS, 50, 100)
# Unit of the shares → sentence on weights.
COUNTS: Mapping[Counted, str] = {
    "paragraphs": "All paragraphs count equally.",
    "words": "All words count equally.",
    "articles": "All articles count equally; an article has a topic if any of its paragraphs has "
    "it.",
}
# With fewer articles, intervals for further articles are unreliable.
FEW_ARTICLES = 30
# Sentences on the method, to cite.
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
LABELS_ONLY = (
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
    """Write "To cite: ..." on the clearest difference (`_change`), or else on the largest share.

    Differences without an interval, and those of no topic, are left out. The text ends with a full
    stop. `confidence` is that of the intervals, which the text names.
    """
    changes = findings.changes[~findings.is_trend]
    changes = changes[changes["low"].notna() & (changes["topic"] != NO_TOPIC)]
    if len(changes) and findings.compared:
        return _change(findings, changes, corpus, confidence)
    overall = findings.table[: len(corpus.outcomes)]
    overall = overall[overall["topic"] != NO_TOPIC]
    row = overall.iloc[int(overall["share"].argmax())]
    verb = "have a paragraph about" if corpus.counted == "articles" else "are about"
    lead = f"To cite: {100 * row['share']:.0f}% of the {corpus.counted} {verb} {row['topic']}"
    if row["rests_on"] == COUNT:
        n = f"{len(corpus.rows):,} {corpus.row_name}"
        return f"{lead}. This is a count: all {n} are labelled."
    interval = f"{confidence:.0%} interval {100 * row['low']:.0f} to {100 * row['high']:.0f}%"
    if np.isnan(row["low"]):
        interval = "no interval, because few labels have most of the weight"
    return f"{lead} ({interval}), {_basis(findings, corpus)}"


def _change(findings: Findings, changes: pd.DataFrame, corpus: Corpus, confidence: float) -> str:
    """Write a sentence on the difference that is largest relative to the width of its interval.

    `changes` are differences with an interval. If it contains 0, the sentence says that no topic
    differs significantly, and `_trends` follow; if it has no width, that this is a count.
    """
    # The interval of a difference between two counts has no width.
    clarity = changes["change"].abs() / (changes["high"] - changes["low"]).clip(lower=1e-9)
    row = changes.iloc[int(clarity.argmax())]
    # Decades, such as "1960s", have an article.
    names = findings.compared or ()
    one, other = [f"the {name}" if name.endswith("0s") else name for name in names]
    change, low, high = 100 * row["change"], 100 * row["low"], 100 * row["high"]
    basis, share = _basis(findings, corpus), f"share of the {corpus.counted}"
    interval = f"({confidence:.0%} interval {signed(low, 0)} to {signed(high, 0)})"
    about = "with a paragraph about" if corpus.counted == "articles" else "about"
    lead = (
        f"To cite: the {share} {about} {row['topic']} is {abs(change):.0f} points "
        f"{'higher' if change > 0 else 'lower'} in {one} than in {other}"
    )
    if low == high:
        return f"{lead}. This is a count: all paragraphs of both are labelled."
    if low <= 0 <= high:
        return (
            f"To cite: no topic's {share} differs significantly between {other} and {one}; "
            f"the largest difference is that of {row['topic']}, {signed(change, 0)} points "
            f"{interval}, {basis}{_trends(findings)}"
        )
    return f"{lead} {interval}, {basis}"


def _basis(findings: Findings, corpus: Corpus) -> str:
    """Write how shares were estimated, as the end of a sentence with its full stop.

    It is "estimated from the model's predictions for all N paragraphs, corrected with n labels
    drawn at random." or, without predictions, "estimated for all N paragraphs from n labels drawn
    at random." For shares of articles, it names articles and labelled articles.
    """
    labels = "labelled articles" if corpus.counted == "articles" else "labels"
    n_labels = f"{findings.table['labels'].iloc[0]:,}"
    # Labels that were not drawn at random have an effective count below 1.
    drawn = f"{n_labels} {labels} drawn at random"
    if findings.is_effective:
        drawn = f"{len(corpus.labelled):,} labels, worth as many as {n_labels} drawn at random"
    n = f"{len(corpus.rows):,} {corpus.row_name}"
    if not corpus.has_predictions:
        return f"estimated for all {n} from {drawn}."
    predicted = "predictions" if corpus.predictor else "the model's predictions"
    return f"estimated from {predicted} for all {n}, corrected with {drawn}."


def _trends(findings: Findings) -> str:
    """Sentence, after a blank, that names the topics with a significant trend; "" for none."""
    trends = findings.changes[findings.is_trend]
    clear = trends[(trends["low"] > 0) | (trends["high"] < 0)]
    topics = shortened_list([short_name(name) for name in clear["topic"]], MOST_LISTED)
    return topics and f" Over all groups, however, there is a trend in the share of {topics}."


def method(corpus: Corpus) -> str:
    """Describe the method by which the shares of a corpus were estimated, to cite."""
    if corpus.predictor:
        return f"{GIVEN.format(corpus.predictor)} {INTERVALS}"
    return f"{PREDICTED if corpus.has_predictions else LABELS_ONLY} {INTERVALS}"


def population(corpus: Corpus) -> str:
    """Say whether intervals are about these texts or further articles, and warn of few articles."""
    size = describe_size(corpus.rows)
    if corpus.clusters is None:
        line = f"Intervals are about these texts alone ({size})"
        return f"{line}. For further articles like these, add --new-articles."
    line = f"Intervals are about further articles like these ({size})"
    if corpus.n_articles >= FEW_ARTICLES:
        return f"{line}, of which they are treated as a random sample."
    few = f"With fewer than {FEW_ARTICLES} articles"
    return f"{line}. {few}, such intervals are rough, and often too narrow."


def clustering(corpus: Corpus) -> str:
    """Advise on standard errors in regressions on the rows of a corpus."""
    line = "In regressions, cluster standard errors by article."
    if corpus.n_articles >= FEW_ARTICLES:
        return line
    few = f"With fewer than {FEW_ARTICLES} articles (there are {corpus.n_articles})"
    return f"{line} {few}, such errors are often too small."


def marks(findings: Findings) -> list[str]:
    """Explain effective labels, "=" and "*" after shares, and times with few articles.

    There is a line for each that occurs.
    """
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
    articles = findings.parts.drop_duplicates(findings.table.columns[0])["articles"]
    n_alone = int((articles == 1).sum())
    if findings.is_time and n_alone >= len(articles) / 2:
        lines.append(
            f"{n_alone} of {len(articles)} values of {findings.table.columns[0]} have one article: "
            "a change may be a difference between articles, not one in time. Intervals with "
            "--new-articles take that into account."
        )
    return lines


def notes(findings: Findings) -> list[str]:
    """Lines of `marks`, and up to three more, each where it applies.

    They say how many labels groups need for an interval, what the group of unknown times is, and
    why a difference of the two compared groups is not shown.
    """
    lines = marks(findings)
    if missing_labels(findings):
        lines.append(_describe_missing(findings))
    if findings.is_time and (findings.table.iloc[:, 0] == UNKNOWN).any():
        name = findings.table.columns[0]
        lines.append(f"{UNKNOWN}: no {name} is known; `dvc repro` lists dates that it cannot read.")
    if findings.compared is None:
        return lines
    # A difference between groups without intervals is not shown, and this line gives the reason.
    groups = findings.groups
    n_labels = groups["labels"][groups["low"].isna()]
    few = []
    for name in findings.compared:
        if name in n_labels:
            n = n_labels[name]
            few.append(f"{name} has {n if n < LEAST_LABELS else 'them in too few articles'}")
    if few:
        needs = f"each of the two needs {LEAST_LABELS} labels, and {', '.join(few)}"
        lines.append(f"{' minus '.join(findings.compared)} is not shown: {needs}.")
    return lines


def missing_labels(findings: Findings) -> dict[str, int]:
    """Group without an interval → number of further labels it needs for one, or for a count."""
    groups = findings.groups
    few = groups["rests_on"].isin([BORROWED, FEW]) & (groups["labels"] < LEAST_LABELS)
    missing = (groups["n"].clip(upper=LEAST_LABELS) - groups["labels"])[few]
    return {str(name): int(n) for name, n in missing.items()}


def _describe_missing(findings: Findings) -> str:
    """Sentences on the labels that groups lack and, with one column, the command to draw them."""
    missing = missing_labels(findings)
    listed = shortened_list([f"{abridged(name)}: {n}" for name, n in missing.items()], MOST_LISTED)
    keys = [str(name) for name in findings.table if name not in COLUMNS]
    advice = ""
    if len(keys) == 1 and findings.unit == "paragraphs":
        command = f"paratopic label --random --by {quote(keys[0])} --n {sum(missing.values())}"
        advice = f" Draw them: `{command}`."
    if "year" in keys:
        advice += " Larger groups need fewer in all, such as --by decade."
    return (
        f"A group needs {LEAST_LABELS} labels for an interval; a smaller group needs labels of all "
        f"its {findings.unit}, for a count. Missing: {listed}.{advice}"
    )


def counting_rule(counted: Counted, copies: bool) -> str:
    """Describe the weights of texts; the parameters are those of `Corpus` and `Corpus.masses`."""
    rule = "each copy counts" if copies else "it counts once in each group"
    return f"{COUNTS[counted]} If a text occurs several times, {rule}."


def left_out(corpus: Corpus) -> list[str]:
    """Lines on texts that shares are not of: those outside of the frames, and boilerplate."""
    lines = []
    if corpus.frames:
        frames = shortened_list(list(corpus.frames), MOST_LISTED)
        lines.append(
            f"These shares are of {frames} alone, from which all labels were drawn; `paratopic "
            "label --random` draws from all paragraphs."
        )
    if corpus.n_boilerplate:
        n_left_out = plural(corpus.n_boilerplate, "paragraph")
        lines.append(f"Not counted: {n_left_out} of boilerplate (prepare.skip_boilerplate).")
    return lines


def outlook(findings: Findings, corpus: Corpus) -> list[str]:
    """Lines on labels or articles that would narrow intervals."""
    lines = []
    if corpus.clusters is not None:
        lines.append("To narrow these intervals, add articles: more labels help less.")
        return lines
    draw = f"label more {corpus.row_name} drawn"
    parts = {f"the whole corpus, {draw} at random": findings.groups[:1]}
    if not missing_labels(findings):
        parts[f"all groups, {draw} by group"] = findings.groups[1:]
    for advice, groups in parts.items():
        needed = needed_labels(groups, corpus)
        widths = [f"about {n:,} for ± {100 * half:.0f} points" for half, n in needed.items()]
        if widths:
            lines.append(f"To narrow the intervals of {advice}: {', '.join(widths)}.")
    return lines


def needed_labels(groups: pd.DataFrame, corpus: Corpus) -> dict[float, int]:
    """Half width of the widest interval, such as 0.05 → number of further labels to reach it.

    The keys are those of `NARROW` that are not reached yet. Numbers are sums over `groups`, rows of
    `Findings.groups`, from each of which labels are drawn at random; groups without an interval are
    ignored. Widths fall with the root of the number of labels, and of unlabelled texts. Better
    predictions with more labels are not taken into account.
    """
    needed = {}
    for half in NARROW:
        wide = groups[groups["widest"] > half]
        # Intervals of drawn articles have no correction for the finite number of texts.
        shares = 1 / wide["n"] if corpus.articles is None else 0.0
        noise = (1 / wide["labels"] - shares) * (half / wide["widest"]) ** 2
        needed[half] = int(np.ceil(1 / (shares + noise) - wide["labels"]).sum())
    return {half: n for half, n in needed.items() if n}


def further_labels(findings: Findings, corpus: Corpus) -> tuple[int, str]:
    """Total number of labels to draw next, and their effect in words, "give each group ...".

    Labels that groups lack for an interval come first, then those for the first of `needed_labels`.
    The number is 0 (ignore words) if all intervals are narrow or further articles narrow them more.
    """
    n_missing = sum(missing_labels(findings).values())
    if n_missing:
        return n_missing, "give each group an interval"
    groups = findings.groups
    groups = groups[1:] if len(groups) > 1 else groups
    needed = {} if corpus.clusters is not None else needed_labels(groups, corpus)
    half, n = next(iter(needed.items()), (0.0, 0))
    return n, f"narrow all intervals to about ± {100 * half:.0f} points"


def plan(
    groups: Mapping[str, tuple[int, int, int]], known: tuple[str, float] | None, confidence: float
) -> list[str]:
    """Write how wide intervals of groups will be after a draw, and after larger ones (`PLANNED`).

    There is a line, without a full stop, for this draw and for each larger one. `groups` maps one
    group or more to the numbers of its labels so far, of further paragraphs that are drawn, and of
    all paragraphs, not 0. `known` is the most frequent topic so far with its share, 0 to 1, or None
    without labels. Predictions, which may narrow the intervals, are not used.
    """
    after = sorted(n_labels + n_drawn for n_labels, n_drawn, _ in groups.values())
    few = sum(n_labels + n < min(LEAST_LABELS, size) for n_labels, n, size in groups.values())
    largest = max(size for _, _, size in groups.values())
    if few:
        subject = plural(few, "group has", "groups have")
        lines = [f"After this draw, {subject} fewer than {LEAST_LABELS} labels, so no interval"]
    else:
        between = f"{after[0]} to {after[-1]}" if after[0] < after[-1] else f"{after[0]}"
        widths = _half_widths(after[0], largest, known, confidence)
        lines = [f"After this draw, each group has {between} labels: {widths}"]
    for n in sorted({min(n, largest) for n in PLANNED}):
        more = sum(max(0, min(n, size) - n_labels) for n_labels, _, size in groups.values())
        if n > after[0] and more:
            smaller = [f"all {size} of {name}" for name, (*_, size) in groups.items() if size < n]
            others = f", or {shortened_list(smaller)}" if smaller else ""
            widths = _half_widths(n, largest, known, confidence)
            lines.append(f"{n} labels in each group{others} (--n {more}): {widths}")
    return lines


def _half_widths(n: int, largest: int, known: tuple[str, float] | None, confidence: float) -> str:
    """Write "about ± 20 points at a share of 50%", and then the same for `known`, if any."""
    shares = {"": 0.5}
    if known:
        shares[f" ({known[0]} so far)"] = known[1]
    widths = []
    for topic, share in shares.items():
        half = margin(share, min(n, largest), largest, confidence)
        widths.append(f"± {100 * half:.0f} points at a share of {share:.0%}{topic}")
    return f"about {', '.join(widths)}"


@dataclass(frozen=True)
class Overview:
    """Findings about a corpus for the report.

    Parameters
    ----------
    by
        Column of `_columns` → shares by its values.
    sentences
        Sentences to cite, on the whole corpus and on groups.
    outlook, counting_rule, method
        Texts of the functions with these names; `counting_rule` ends with those of `left_out`, and
        `method` with that of `population`.
    """

    overall: Findings
    by: Mapping[str, Findings]
    sentences: Sequence[str]
    outlook: Sequence[str]
    counting_rule: str
    method: str


def overview(
    corpus: Corpus, confidence: float, seed: int, drawn_by: Collection[str] = ()
) -> Overview:
    """Estimate shares of a corpus, and by the columns of `_columns`, for the report.

    The `seed` is that of `find_shares`. `drawn_by` has the columns by whose groups labels were
    drawn; if one is a period, shares are by that period.
    """
    overall = find_shares(corpus, [], confidence)
    names = _columns(corpus, confidence, drawn_by)
    by = {name: find_shares(corpus, [name], confidence, seed=seed) for name in names}
    sentences = [sentence(findings, corpus, confidence) for findings in (overall, *by.values())]
    return Overview(
        overall,
        by,
        sentences=list(dict.fromkeys(sentences)),
        outlook=outlook(overall, corpus),
        counting_rule=" ".join([counting_rule(corpus.counted, copies=True), *left_out(corpus)]),
        method=f"{method(corpus)} {population(corpus)}",
    )


def _columns(corpus: Corpus, confidence: float, drawn_by: Collection[str]) -> list[str]:
    """Names of columns to divide a corpus by: a period, and others with few values, like source.

    The period is the shortest for which half of the shares have intervals, or else the shortest of
    all; if labels were drawn by periods, one of these. The other columns have at most `MOST_GROUPS`
    values, and half of their shares have intervals.
    """
    excluded = {*PARAGRAPHS_SCHEMA.names, *PERIODS, *COLUMNS}
    n_values = corpus.rows[[name for name in corpus.rows if name not in excluded]].nunique()
    few = map(str, n_values.index[n_values.between(2, MOST_GROUPS)])

    def has_intervals(name: str) -> bool:
        return bool(find_shares(corpus, [name], confidence).parts["low"].notna().mean() >= 0.5)

    periods = periods_of(corpus.rows)
    periods = [name for name in periods if name in drawn_by] or periods
    period = [next(filter(has_intervals, periods), periods[0])] if periods else []
    return [*period, *filter(has_intervals, few)]
