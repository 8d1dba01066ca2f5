"""Stage prepare: sources and hand labels → the paragraph table, metadata, and what is left out."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from paratopic.corpus.metadata import write_metadata
from paratopic.corpus.table import (
    LEAST_DRAWN,
    WEAK,
    describe_size,
    labelled_rows,
    outcomes_of,
    write_paragraphs,
)
from paratopic.labels.agreement import agreement
from paratopic.labels.answers import of_people, of_weak_sources, read_answers
from paratopic.labels.join import join_labels
from paratopic.labels.log import backup, read_lines
from paratopic.labels.sample import describe_sample, sample_of, weigh_sample
from paratopic.labels.weak import effort_of, join_weak, weak_answers
from paratopic.labels.weak_sources import learn_sources
from paratopic.labels.worth import describe_sources
from paratopic.project import errors, files
from paratopic.project.languages import count_languages, learnt, others
from paratopic.project.params import Labels, Prepare, read_params
from paratopic.project.paths import METADATA, PARAGRAPHS, PREPARED, SKIPPED
from paratopic.project.plurals import plural
from paratopic.project.topics import NO_TOPIC, Topics
from paratopic.reading.article import Skipped
from paratopic.reading.metadata import DATE, ORIGINS
from paratopic.reading.sources import UNREADABLE, read_sources

# Where a label comes from → words for it.
SOURCES = {
    "hand": "labelled by hand",
    "weak": "labelled by weak sources",
    "none": "not labelled",
}


# Where nobody is a weak source.
NO_SOURCES = Labels((), {})


def prepare(
    params: Prepare, topics: Topics, sources: Labels = NO_SOURCES, confidence: float = 0.95
) -> tuple[pd.DataFrame, list[Skipped], pd.DataFrame, dict[str, Any]]:
    """Read every source and join the labels.

    Parameters
    ----------
    sources
        Section labels of params.yaml; no weak annotators by default.
    confidence
        Confidence of the intervals of the trust in weak sources; 0.95 by default.

    Returns
    -------
    The paragraph table, what is left out of it, the table of what its rows are from, and what there
    is to report.
    """
    log = None if params.labels is None else Path(params.labels).resolve()
    own_files = [log, backup(log)] if log else []
    lines = [] if params.labels is None else read_lines(Path(params.labels))
    frame, skipped, metadata, origins, notes = read_sources(
        params.sources, own_files, topics, params.no_topic
    )
    by_people = of_people(lines, sources.weak)
    reading = read_answers(by_people, topics)
    labels = reading.answers
    frame, messages = join_labels(frame, reading, topics, params.ties)
    messages += notes
    if n_retired := int((frame["retired"] != "").sum()):
        messages.append(
            f"{plural(n_retired, 'paragraph has', 'paragraphs have')} to be labelled again, "
            "because the codebook changed: `paratopic suggest` offers them first"
        )
    frame["draw"], frame["weight"] = weigh_sample(frame, by_people)
    judged = {answer.paragraph for answer in labels}
    of_sources = of_weak_sources(lines, sources.weak)
    frame[WEAK.name] = weak_answers(frame, of_sources, topics, judged)
    trusted = learn_sources(frame, topics, confidence)
    frame = join_weak(frame, trusted)
    rows = labelled_rows(frame, topics)
    counts = _counts(rows, topics)
    report: dict[str, Any] = {
        "articles": int(frame["article"].nunique()),
        "paragraphs": len(frame),
        "labelled_by": dict(sorted(Counter(frame["label_source"]).items())),
        "topics": {name: counts[name] for name in topics.names},
        "topics_by": {source: _counts(of, topics) for source, of in rows.groupby("label_source")},
        "none_of_the_topics": counts[NO_TOPIC],
        "sample": sample_of(frame),
        "weak": trusted.table().to_dict("records"),
        "effort": effort_of(of_sources, sources.prices),
        "skipped": dict(sorted(Counter(_kind(part) for part in skipped).items())),
        "metadata": {
            name: {origin: n for origin in ORIGINS if (n := origins[name, origin])}
            for name in metadata.columns[1:]
        },
        "messages": messages,
    }
    if drawn := report["sample"]["drawn"]:
        messages.append(
            "labels are weighted by how they were drawn, so the figures hold for all paragraphs"
            if drawn >= LEAST_DRAWN
            else f"{plural(drawn, 'label was', 'labels were')} drawn at random; from "
            f"{LEAST_DRAWN} on, labels are weighted by how they were drawn"
        )
    annotators = agreement(labels, topics)
    if annotators is not None:
        report["annotators"] = asdict(annotators)
    bare = [topic.name for topic in topics.topics if not topic.description]
    if 0 < len(bare) < len(topics.topics):
        messages.append(
            "definitions are not used, because every topic needs one; there is no text before In: "
            f"or Out: for {', '.join(bare)}"
        )
    if unlike := _other_languages(frame, rows, topics):
        messages.append(f"{unlike}: label some of them, or leave them out")
    for name, count in report["topics"].items():
        if count == 0:
            so = "models know only its definition" if topics.descriptions else "it is not learnt"
            messages.append(f"topic {name} has no labelled paragraph: {so}")
    return frame, skipped, metadata, report


def _other_languages(frame: pd.DataFrame, rows: pd.DataFrame, topics: Topics) -> str:
    """How many paragraphs are in other languages than what models learn from."""
    labelled = list(rows["text"])
    languages = learnt(count_languages(labelled or topics.descriptions))
    but = "the labelled ones are" if labelled else "the definitions are"
    return others(count_languages(list(frame["text"])), languages, "paragraphs", but)


def _kind(part: Skipped) -> str:
    """The reason without its details: "unreadable: is empty. Give …" → "unreadable"."""
    return part.reason.partition(":")[0]


def _counts(rows: pd.DataFrame, topics: Topics) -> dict[str, int]:
    """Number of labelled rows with each topic, and with none of them."""
    return {str(name): int(n) for name, n in outcomes_of(rows, topics.names).sum().items()}


def _describe_metadata(metadata: Mapping[str, Mapping[str, int]], n_articles: int) -> str:
    """How many articles have each field; for dates, which may be wrong, where they are from too.

    >>> origins = {"date": {"documents": 2, "file names": 1}, "source": {"documents": 3}}
    >>> _describe_metadata(origins, 4)
    'date for 3 of 4 articles (2 from documents, 1 from file names), source for 3'
    """
    parts: list[str] = []
    for name, origins in metadata.items():
        of_all = "" if parts else f" of {plural(n_articles, 'article')}"
        wheres = ", ".join(f"{n} from {origin}" for origin, n in origins.items())
        parts.append(
            f"{name} for {sum(origins.values())}{of_all}{f' ({wheres})' if name == DATE else ''}"
        )
    return textwrap.shorten(", ".join(parts), 300, placeholder=" …")


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    frame, skipped, metadata, report = prepare(
        params.prepare, params.topics, params.labels, params.evaluate.confidence
    )
    write_paragraphs(frame, PARAGRAPHS)
    write_metadata(metadata, METADATA)
    columns = [field.name for field in fields(Skipped)]
    files.write_csv(SKIPPED, pd.DataFrame(skipped, columns=columns))
    files.write_json(PREPARED, report)
    print(describe_size(frame))
    for source, title in SOURCES.items():
        if number := report["labelled_by"].get(source):
            counts = report["topics_by"].get(source, {})
            topics = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
            print(f"  {number} {title}{': ' if topics else ''}{topics}")
    if report["metadata"]:
        print(f"metadata: {_describe_metadata(report['metadata'], report['articles'])}")
    unreadable = [part.article for part in skipped if _kind(part) == UNREADABLE]
    if unreadable:
        names = textwrap.shorten(", ".join(unreadable), 300, placeholder=" …")
        print(f"{plural(len(unreadable), 'file')} could not be read (see {SKIPPED}): {names}")
    if by_hand := report["labelled_by"].get("hand"):
        print(describe_sample(report["sample"], by_hand))
    for line in describe_sources(report["weak"]):
        print(line)
    if skipped:
        whys = ", ".join(f"{count} {why}" for why, count in report["skipped"].items())
        print(f"skipped (see {SKIPPED}): {whys}")
    for message in report["messages"]:
        print(f"note: {message}")


if __name__ == "__main__":
    errors.run(main)
