"""What there is to say of the labels once they are resolved: counts for prepare.json, and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from paratopic.corpus.table import LEAST_DRAWN, labelled_rows, outcomes_of
from paratopic.labels.agreement import agreement
from paratopic.labels.resolve import Resolved
from paratopic.labels.sample import describe_sample, sample_of
from paratopic.labels.worth import describe_sources
from paratopic.project.languages import count_languages, learnt, others
from paratopic.project.plurals import plural
from paratopic.project.topics import NO_TOPIC, Topics

# Where a label comes from → words for it.
SOURCES = {
    "hand": "labelled by hand",
    "weak": "labelled by weak sources",
    "none": "not labelled",
}


def summarise(
    frame: pd.DataFrame, resolved: Resolved, topics: Topics, notes: Sequence[str]
) -> dict[str, Any]:
    """Count the labels, and say what stands out.

    Parameters
    ----------
    frame
        Paragraph table with its labels.
    notes
        Messages about the sources, which come before those about the labels.

    Returns
    -------
    The part of prepare.json that is about labels.
    """
    rows, sample = labelled_rows(frame, topics), sample_of(frame)
    counts = _counts(rows, topics)
    report: dict[str, Any] = {
        "labelled_by": dict(sorted(Counter(frame["label_source"]).items())),
        "topics": {name: counts[name] for name in topics.names},
        "topics_by": {source: _counts(of, topics) for source, of in rows.groupby("label_source")},
        "none_of_the_topics": counts[NO_TOPIC],
        "sample": sample,
        "weak": resolved.trusted.table().to_dict("records"),
        "messages": [*resolved.messages, *notes],
    }
    annotators = agreement(resolved.of_people, topics)
    if annotators is not None:
        report["annotators"] = asdict(annotators)
    if drawn := sample["drawn"]:
        report["messages"].append(
            "labels are weighted by how they were drawn, so the figures hold for all paragraphs"
            if drawn >= LEAST_DRAWN
            else f"{plural(drawn, 'label was', 'labels were')} drawn at random; from "
            f"{LEAST_DRAWN} on, labels are weighted by how they were drawn"
        )
    report["messages"] += _of_topics(frame, rows, report["topics"], topics)
    return report


def describe_labels(report: Mapping[str, Any]) -> Iterator[str]:
    """Say what is labelled: a line for each kind of source, and one for each weak source."""
    for source, title in SOURCES.items():
        if number := report["labelled_by"].get(source):
            counts = report["topics_by"].get(source, {})
            topics = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
            yield f"  {number} {title}{': ' if topics else ''}{topics}"
    if by_hand := report["labelled_by"].get("hand"):
        yield describe_sample(report["sample"], by_hand)
    yield from describe_sources(report["weak"])


def _of_topics(
    frame: pd.DataFrame, rows: pd.DataFrame, counts: Mapping[str, int], topics: Topics
) -> Iterator[str]:
    """Messages about topics that models cannot learn, and texts that they cannot read."""
    bare = [topic.name for topic in topics.topics if not topic.description]
    if 0 < len(bare) < len(topics.topics):
        yield (
            "definitions are not used, because every topic needs one; there is no text before In: "
            f"or Out: for {', '.join(bare)}"
        )
    labelled = list(rows["text"])
    languages = learnt(count_languages(labelled or topics.descriptions))
    but = "the labelled ones are" if labelled else "the definitions are"
    if unlike := others(count_languages(list(frame["text"])), languages, "paragraphs", but):
        yield f"{unlike}: label some of them, or leave them out"
    for name, count in counts.items():
        if count == 0:
            so = "models know only its definition" if topics.descriptions else "it is not learnt"
            yield f"topic {name} has no labelled paragraph: {so}"


def _counts(rows: pd.DataFrame, topics: Topics) -> dict[str, int]:
    """Number of labelled rows with each topic, and with none of them."""
    return {str(name): int(n) for name, n in outcomes_of(rows, topics.names).sum().items()}
