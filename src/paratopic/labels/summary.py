"""A summary of labels and weak sources: counts for prepare.json, and lines for people.

All figures of the lines are from prepare.json and comparison.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import pandas as pd

from paratopic.corpus.labelled import LABEL_SOURCES, LEAST_DRAWN, labelled_in
from paratopic.labels.agreement import Agreement, agreement
from paratopic.labels.resolve import Resolved
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.labels.weak import Reliability
from paratopic.project.errors import MOST_NAMED, plural, shortened_list
from paratopic.project.languages import count_languages, language_note, main_languages
from paratopic.project.reports import Report
from paratopic.project.topics import Topics


class Prepared(Report):
    """Content of prepare.json.

    Parameters
    ----------
    skipped
        Reason → number of parts of the sources that were left out for this reason.
    metadata
        Field → place from which it was read → number of articles.
    boilerplate
        Number of paragraphs that are boilerplate.
    read
        Path of each file that was read → its SHA-256.
    labelled_by
        "hand", "weak" or "none" → number of paragraphs with such a label.
    topics
        Topic → number of its paragraphs.
    topics_by
        "hand" or "weak" → topic, or none of the topics → number of paragraphs.
    encoders
        Kind of model → the encoder of its fits; "" for a kind without an encoder.
    annotators
        Agreement of annotators; None, the default, if no two labelled the same paragraph.
    """

    articles: int
    paragraphs: int
    skipped: dict[str, int]
    metadata: dict[str, dict[str, int]]
    boilerplate: int
    read: dict[str, str]
    labelled_by: dict[str, int]
    topics: dict[str, int]
    topics_by: dict[str, dict[str, int]]
    none_of_the_topics: int
    sample: Sample
    weak: tuple[Reliability, ...]
    messages: tuple[str, ...]
    encoders: dict[str, str]
    annotators: Agreement | None = None


def summarise(
    frame: pd.DataFrame,
    resolved: Resolved,
    topics: Topics,
    notes: Sequence[str],
    about_sources: Mapping[str, object],
) -> Prepared:
    """Make the content of prepare.json: counts of labels, the sample, weak sources and messages.

    `frame` has the paragraphs with labels and the columns of the sample. `notes` are messages about
    the sources, which follow those about the votes. `about_sources` has the fields articles,
    paragraphs, skipped, metadata, boilerplate, read, encoders. An unknown topic is a `UserError`.
    """
    data = labelled_in(frame, topics)
    sample = sample_of(frame, resolved.sample, resolved.annotator_votes)
    counts, label_source = data.counts, data.rows["label_source"].to_numpy()
    _, n_none = counts.popitem()
    labelled_by = frame["label_source"].value_counts().sort_index().to_dict()
    messages = [*resolved.messages, *notes]
    if sample.drawn and not sample.frames:
        is_weighted = data.hand_labelled.weights is not None
        messages.append(_sample_message(sample.drawn, labelled_by.get("hand"), is_weighted))
    messages += _copy_messages(data.hand_labelled.rows)
    messages += _topic_messages(frame, list(data.rows["text"]), counts, topics)
    annotators = agreement(resolved.annotator_votes, topics)
    report = {
        **about_sources,
        "labelled_by": labelled_by,
        "topics": counts,
        "topics_by": {s: data.select(label_source == s).counts for s in sorted(set(label_source))},
        "none_of_the_topics": n_none,
        "sample": sample,
        "weak": list(resolved.weak_sources.reliabilities()),
        "messages": messages,
    }
    if annotators:
        report["annotators"] = annotators
    return Prepared.model_validate(report)


def _sample_message(n_drawn: int, n_hand: int | None, is_weighted: bool) -> str:
    """Say how many of `n_hand` labels were drawn at random, and if figures describe the corpus.

    They do if labels have weights (`Labelled.weights`); else the message says what is missing.
    """
    if n_drawn < LEAST_DRAWN:
        return (
            f"{plural(n_drawn, 'label was', 'labels were')} drawn at random; from {LEAST_DRAWN} "
            "on, labels are weighted by how they were drawn"
        )
    if not is_weighted:
        return (
            f"none of the {n_drawn:,} labels drawn at random has a topic, so figures are about the "
            "labelled paragraphs, and labels are not weighted"
        )
    which = "the" if n_drawn == n_hand else f"{n_drawn:,} of the"
    return (
        f"{which} labels are a random sample, so figures and their intervals are about all "
        "paragraphs"
    )


def describe_labels(report: Prepared) -> Iterator[str]:
    """Yield lines, if any: numbers of hand, weak and missing labels, the sample, weak sources."""
    titles = {source: f"labelled {words}" for source, words in LABEL_SOURCES.items()}
    for source, title in (titles | {"none": "not labelled"}).items():
        if number := report.labelled_by.get(source):
            counts = report.topics_by.get(source, {})
            topics = shortened_list([f"{n} {name}" for name, n in counts.items() if n], MOST_NAMED)
            yield f"  {number} {title}{': ' if topics else ''}{topics}"
    if by_hand := report.labelled_by.get("hand"):
        yield describe_sample(report.sample, by_hand)
    yield from describe_sources(report.weak)


def describe_agreement(people: Agreement | None) -> list[str]:
    """Describe the agreement of annotators in one line; [] if no two labelled the same paragraph.

    >>> describe_agreement(Agreement(("Ann", "Bo"), paragraphs=5, alpha=0.8, macro_f1=None))
    ["2 annotators labelled 5 paragraphs more than once: Krippendorff's alpha 0.800"]
    """
    if people is None:
        return []
    parts = []
    f1, alpha = people.macro_f1, people.alpha
    if f1 is not None:
        parts.append(f"macro-F1 {f1:.3f} against each other, which a model can hardly exceed")
    if alpha is not None:
        parts.append(f"Krippendorff's alpha {alpha:.3f}")
    names, n = plural(len(people.annotators), "annotator"), people.paragraphs
    measured = "; ".join(parts) or "not measured"
    return [f"{names} labelled {plural(n, 'paragraph')} more than once: {measured}"]


def sources_that_label(prepared: Prepared) -> Sequence[Reliability]:
    """The accuracies of weak sources; none if no paragraph has a weak label."""
    return prepared.weak if "weak" in prepared.labelled_by else ()


def describe_sources(reliabilities: Iterable[Reliability]) -> list[str]:
    """A line for each weak source: its accuracy by topic, and the topics on which it is unused.

    The rows of a source have to be together. Topics without a hand label are only counted.
    """
    lines = []
    for name, rows in groupby(reliabilities, key=attrgetter("source")):
        parts, n_unknown, uninformative = [], 0, []
        for row in rows:
            if not row.counts:
                uninformative.append(f"{row.topic} ({_right(row)})")
            elif row.compared:
                parts.append(f"{row.topic} {_right(row)}{_mistaken(row)}")
            else:
                n_unknown += 1
        if n_unknown:
            noun = "other topics" if parts or uninformative else "topics"
            parts.append(f"{plural(n_unknown, noun[:-1], noun)} without a label by hand")
        if uninformative:
            which = shortened_list(uninformative, MOST_NAMED)
            parts.append(f"counts for nothing on {which}: no better than chance")
        lines.append(f"{name}: {', '.join(parts)}")
    return lines


def _copy_messages(rows: pd.DataFrame) -> Iterator[str]:
    """Yield one message if copies of a text in `rows` (id, text, topic) have different labels."""
    distinct = rows.assign(topic=rows["topic"].map(frozenset)).drop_duplicates(["text", "topic"])
    differ = distinct[distinct["text"].duplicated(keep=False)]
    if n := differ["text"].nunique():
        ids = differ["id"][differ["text"] == differ["text"].iloc[0]]
        yield (
            f"{plural(n, 'text has copies', 'texts have copies')} with different labels, such as "
            f"{' and '.join(ids)}: shares count the label of the first; label copies alike"
        )


def _topic_messages(
    frame: pd.DataFrame, labelled: Sequence[str], counts: Mapping[str, int], topics: Topics
) -> Iterator[str]:
    """Yield messages on missing definitions, texts in other languages, and topics without a label.

    There is at most one of each: if some topics, not all, have a definition; if texts are in other
    languages than the `labelled` texts or else the definitions; if a topic has 0 in `counts`.
    """
    undefined = [topic.name for topic in topics.topics if not topic.description]
    if 0 < len(undefined) < len(topics.topics):
        yield (
            "definitions are not used, because every topic needs one; there is no text before In: "
            f"or Out: for {shortened_list(undefined, MOST_NAMED)}"
        )
    languages = main_languages(count_languages(labelled or topics.descriptions))
    known = "the labelled ones are" if labelled else "the definitions are"
    n_texts = count_languages(list(frame["text"]))
    if note := language_note(n_texts, languages, "paragraphs", known):
        yield f"{note}: label some of them, or leave them out"
    if lacking := [name for name, count in counts.items() if count == 0]:
        effect = "models know only their definitions" if topics.descriptions else "not learnt"
        names = shortened_list(lacking, MOST_NAMED)
        yield f"topics without a labelled paragraph ({effect}): {names}"


def _right(row: Reliability) -> str:
    """A source's accuracy in words: "right in 34 of 41 (estimated accuracy 0.83, 0.69–0.92)"."""
    estimated = f"estimated accuracy {row.trust:.2f}, {row.low:.2f}–{row.high:.2f}"
    return f"right in {row.right} of {row.compared} ({estimated})"


def _mistaken(row: Reliability) -> str:
    """The topic of the hand labels, if it is the same for at least half of the errors."""
    wrong = row.compared - row.right
    other, n = max(row.instead.items(), key=lambda pair: pair[1], default=("", 0))
    return f", else mostly {other}" if n >= max(2, wrong / 2) else ""
