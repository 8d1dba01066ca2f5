"""Stage prepare: sources and hand labels → the paragraph table, and what is left out of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import cohen_kappa_score

from paratopic import agreement, articles, corpus, documents, errors, files
from paratopic.articles import Skipped
from paratopic.errors import UserError
from paratopic.labels import backup, read_labels
from paratopic.params import Prepare, read_params
from paratopic.topics import Topics

PARAGRAPHS = Path("data/paragraphs.parquet")
REPORT = Path("reports/prepare.json")
SKIPPED = Path("reports/skipped.csv")


def prepare(params: Prepare, topics: Topics) -> tuple[pd.DataFrame, list[Skipped], dict[str, Any]]:
    """Read every source and join the labels.

    Returns
    -------
    The table, what is left out of it, and what there is to report.
    """
    parts: list[pd.DataFrame] = []
    names: dict[str, Path] = {}
    try:
        paths, others = documents.find(params.sources, documents.SUFFIXES)
    except UserError as error:
        raise UserError(f"prepare.sources: {error}") from None
    # Tables lie in folders for many reasons: those that are meant are named.
    log = None if params.labels is None else Path(params.labels).resolve()
    mine = [log, backup(log)] if log else []
    skipped = [Skipped(str(path), 0, "", why) for path, why in others if path.resolve() not in mine]
    for path in paths:
        if path.stem in names:
            raise UserError(
                f"{path} and {names[path.stem]} have the same name, which labels go by: rename or "
                "remove one of them"
            )
        names[path.stem] = path
        if path.suffix.lower() in corpus.READERS:
            parts.append(corpus.read_labelled_table(path, topics, params.no_topic))
        elif path.suffix.lower() in documents.SUFFIXES:
            article = documents.read(path)
            parts.append(corpus.frame_of(articles.split(article)))
            skipped += articles.skipped(article)
        else:
            known = ", ".join([*documents.SUFFIXES, *corpus.READERS])
            raise UserError(f"{path}: sources are {known}")
    frame = pd.concat(parts, ignore_index=True)
    labels = [] if params.labels is None else read_labels(Path(params.labels))
    frame, messages = corpus.join_labels(frame, labels, topics)
    rows = corpus.labelled(frame, topics.mode)
    has = corpus.targets(rows, topics.names).sum(axis=0)
    report: dict[str, Any] = {
        "articles": int(frame["article"].nunique()),
        "paragraphs": len(frame),
        "labelled_by": dict(sorted(Counter(frame["label_source"]).items())),
        "topics": dict(zip(topics.names, has.tolist(), strict=True)),
        "none_of_the_topics": int((rows["topic"] == "").sum()),
        "headings_against_hand": headings_against_hand(frame, topics),
        "skipped": dict(sorted(Counter(part.reason for part in skipped).items())),
        "messages": messages,
    }
    annotators = agreement.agreement(labels, topics)
    if annotators is not None:
        report["annotators"] = asdict(annotators)
    for name, count in report["topics"].items():
        if count == 0:
            messages.append(f"topic {name} has no labelled paragraph: it cannot be learnt")
    return frame, skipped, report


def headings_against_hand(frame: pd.DataFrame, topics: Topics) -> dict[str, Any]:
    """How far headings' labels agree with hand labels where there are both (Cohen's kappa)."""
    hand = corpus.labelled(frame[frame["label_source"] == "hand"], "single")
    weak = [topics.of_heading(heading) for heading in hand["heading"]]
    both = [(h, w) for h, w in zip(hand["topic"], weak, strict=True) if w is not None]
    if not both:
        return {"paragraphs": 0}
    one, other = zip(*both, strict=True)
    same = sum(h == w for h, w in both)
    kappa = None if len({*one, *other}) < 2 else float(cohen_kappa_score(one, other))
    return {"paragraphs": len(both), "same": same, "kappa": kappa}


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    frame, skipped, report = prepare(params.prepare, params.topics)
    corpus.write_paragraphs(frame, PARAGRAPHS)
    columns = [field.name for field in fields(Skipped)]
    files.write_csv(SKIPPED, pd.DataFrame(skipped, columns=columns))
    files.write_json(REPORT, report)
    counts = ", ".join(f"{count} {name}" for name, count in report["topics"].items())
    print(
        f"{report['paragraphs']} paragraphs of {report['articles']} articles: {counts}, "
        f"{report['none_of_the_topics']} none of these, "
        f"{report['labelled_by'].get('none', 0)} not labelled"
    )
    headings = report["headings_against_hand"]
    if headings.get("kappa") is not None:
        print(
            f"headings agree with hand labels on {headings['same']} of {headings['paragraphs']} "
            f"paragraphs (Cohen's kappa {headings['kappa']:.2f})"
        )
    if skipped:
        whys = ", ".join(f"{count} {why}" for why, count in report["skipped"].items())
        print(f"skipped, as {SKIPPED} tells: {whys}")
    for message in report["messages"]:
        print(f"note: {message}")


if __name__ == "__main__":
    errors.run(main)
