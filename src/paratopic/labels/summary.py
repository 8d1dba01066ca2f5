"""What there is to say of labels and of weak sources: counts for prepare.json, and lines.

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
from paratopic.project.errors import MOST_NAMED, in_short, plural
from paratopic.project.languages import count_languages, main_languages, others
from paratopic.project.reports import Report
from paratopic.project.topics import Topics


class Prepared(Report):
    """Content of prepare.json.

    Parameters
    ----------
    skipped
        Reason → number of parts of the sources that were left out for it.
    metadata
        Field → where it was found → number of articles.
    boilerplate
        Number of paragraphs that are boilerplate.
    read
        Path of each file that was read → its SHA-256.
    labelled_by
        "hand", "weak" or "none" → number of paragraphs that are labelled so.
    topics
        Topic → number of its paragraphs.
    topics_by
        "hand" or "weak" → topic, or none of the topics → number of paragraphs.
    encoders
        Kind of model → the encoder of its fits; "" for a kind without one.
    annotators
        How far they agree; None, the default, if no two judged the same paragraph.
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
    """Count the labels, and say what stands out.

    Parameters
    ----------
    notes
        Messages about the sources, which come before those about the labels.
    about_sources
        The fields of the report from `articles` to `read`, and `encoders`.
    """
    data = labelled_in(frame, topics)
    sample = sample_of(frame, resolved.sample, resolved.of_people)
    counts, by = data.counts, data.rows["label_source"].to_numpy()
    _, n_none = counts.popitem()
    labelled_by = frame["label_source"].value_counts().sort_index().to_dict()
    messages = [*resolved.messages, *notes]
    if (drawn := sample.drawn) and not sample.frames:
        which = "the" if drawn == labelled_by.get("hand") else f"{drawn:,} of the"
        messages.append(
            f"{which} labels are a random sample, so figures and their intervals are about all "
            "paragraphs"
            if drawn >= LEAST_DRAWN
            else f"{plural(drawn, 'label was', 'labels were')} drawn at random; from "
            f"{LEAST_DRAWN} on, labels are weighted by how they were drawn"
        )
    messages += _of_copies(data.hand.rows)
    messages += _of_topics(frame, list(data.rows["text"]), counts, topics)
    annotators = agreement(resolved.of_people, topics)
    report = {
        **about_sources,
        "labelled_by": labelled_by,
        "topics": counts,
        "topics_by": {source: data.of(by == source).counts for source in sorted(set(by))},
        "none_of_the_topics": n_none,
        "sample": sample,
        "weak": list(resolved.trusted.reliabilities()),
        "messages": messages,
    }
    return Prepared.model_validate(report | ({"annotators": annotators} if annotators else {}))


def describe_labels(report: Prepared) -> Iterator[str]:
    """Say what is labelled: a line for each kind of source, and one for each weak source."""
    titles = {source: f"labelled {words}" for source, words in LABEL_SOURCES.items()}
    for source, title in (titles | {"none": "not labelled"}).items():
        if number := report.labelled_by.get(source):
            counts = report.topics_by.get(source, {})
            topics = in_short([f"{n} {name}" for name, n in counts.items() if n], MOST_NAMED)
            yield f"  {number} {title}{': ' if topics else ''}{topics}"
    if by_hand := report.labelled_by.get("hand"):
        yield describe_sample(report.sample, by_hand)
    yield from describe_sources(report.weak)


def describe_agreement(people: Agreement | None) -> list[str]:
    """Say how far annotators agree; nothing where nobody labelled a paragraph of another.

    >>> describe_agreement(Agreement(("Ann", "Bo"), paragraphs=5, alpha=0.8, macro_f1=None))
    ["2 annotators labelled 5 paragraphs more than once: Krippendorff's alpha 0.800"]
    """
    if people is None:
        return []
    parts = []
    if people.macro_f1 is not None:
        parts.append(
            f"macro-F1 {people.macro_f1:.3f} against each other, which a model can hardly exceed"
        )
    if people.alpha is not None:
        parts.append(f"Krippendorff's alpha {people.alpha:.3f}")
    names, n = plural(len(people.annotators), "annotator"), people.paragraphs
    measured = "; ".join(parts) or "not measured"
    return [f"{names} labelled {plural(n, 'paragraph')} more than once: {measured}"]


def sources_that_label(prepared: Prepared) -> Sequence[Reliability]:
    """What weak sources are worth; nothing if none labels any paragraph."""
    return prepared.weak if "weak" in prepared.labelled_by else ()


def describe_sources(reliabilities: Iterable[Reliability]) -> list[str]:
    """Say what each weak source is worth, in a line for each of them."""
    lines = []
    for name, rows in groupby(reliabilities, key=attrgetter("source")):
        parts, unknown, uninformative = [], 0, []
        for row in rows:
            if not row.counts:
                uninformative.append(f"{row.topic} ({_right(row)})")
            elif row.compared:
                parts.append(f"{row.topic} {_right(row)}{_mistaken(row)}")
            else:
                unknown += 1
        if unknown:
            others = "other topics" if parts or uninformative else "topics"
            parts.append(f"{plural(unknown, others[:-1], others)} without a label by hand")
        if uninformative:
            which = in_short(uninformative, MOST_NAMED)
            parts.append(f"counts for nothing on {which}: no better than chance")
        lines.append(f"{name}: {', '.join(parts)}")
    return lines


def _of_copies(rows: pd.DataFrame) -> Iterator[str]:
    """A message about texts whose copies have different labels."""
    kinds = rows.assign(topic=rows["topic"].map(frozenset)).drop_duplicates(["text", "topic"])
    differ = kinds[kinds["text"].duplicated(keep=False)]
    if n := differ["text"].nunique():
        ids = differ["id"][differ["text"] == differ["text"].iloc[0]]
        yield (
            f"{plural(n, 'text has copies', 'texts have copies')} with different labels, such as "
            f"{' and '.join(ids)}: shares count the label of the first; label copies alike"
        )


def _of_topics(
    frame: pd.DataFrame, labelled: Sequence[str], counts: Mapping[str, int], topics: Topics
) -> Iterator[str]:
    """Messages about topics that models cannot learn, and texts that they cannot read."""
    bare = [topic.name for topic in topics.topics if not topic.description]
    if 0 < len(bare) < len(topics.topics):
        yield (
            "definitions are not used, because every topic needs one; there is no text before In: "
            f"or Out: for {in_short(bare, MOST_NAMED)}"
        )
    languages = main_languages(count_languages(labelled or topics.descriptions))
    but = "the labelled ones are" if labelled else "the definitions are"
    if unlike := others(count_languages(list(frame["text"])), languages, "paragraphs", but):
        yield f"{unlike}: label some of them, or leave them out"
    if lacking := [name for name, count in counts.items() if count == 0]:
        so = "models know only their definitions" if topics.descriptions else "not learnt"
        yield f"topics without a labelled paragraph ({so}): {in_short(lacking, MOST_NAMED)}"


def _right(row: Reliability) -> str:
    """How often a source is right: "right in 34 of 41 (estimated accuracy 0.83, 0.69–0.92)"."""
    interval = f"{row.low:.2f}–{row.high:.2f}"
    estimated = f"(estimated accuracy {row.trust:.2f}, {interval})"
    return f"right in {row.right} of {row.compared} {estimated}"


def _mistaken(row: Reliability) -> str:
    """What people gave instead, if it is one topic for at least half of the errors."""
    wrong = row.compared - row.right
    other, n = max(row.instead.items(), key=lambda pair: pair[1], default=("", 0))
    return f", else mostly {other}" if n >= max(2, wrong / 2) else ""
