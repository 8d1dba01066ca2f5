"""Stage prepare: sources and hand labels → the paragraph table."""

from __future__ import annotations

import glob
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import cohen_kappa_score

from paratopic import articles, corpus, errors, files
from paratopic.errors import UserError
from paratopic.params import Prepare, read_params
from paratopic.topics import Topics

PARAGRAPHS = Path("data/paragraphs.parquet")
REPORT = Path("reports/prepare.json")


def prepare(params: Prepare, topics: Topics) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read every source and join the labels; returns the table and what there is to report."""
    parts: list[pd.DataFrame] = []
    names: dict[str, Path] = {}
    for path in find(params.sources):
        if path.stem in names:
            raise UserError(f"{path} and {names[path.stem]} have the same name: rename one of them")
        names[path.stem] = path
        if path.suffix.lower() in corpus.READERS:
            parts.append(corpus.read_labelled_table(path, topics, params.no_topic))
        elif path.suffix.lower() == ".txt":
            parts.append(corpus.frame_of(articles.split(articles.read_article(path))))
        else:
            raise UserError(f"{path}: sources are .txt, {', '.join(corpus.READERS)}")
    frame = pd.concat(parts, ignore_index=True)
    labels = [] if params.labels is None else corpus.read_labels(Path(params.labels))
    frame, messages = corpus.join_labels(frame, labels, topics)
    rows = corpus.labelled(frame)
    report: dict[str, Any] = {
        "articles": int(frame["article"].nunique()),
        "paragraphs": len(frame),
        "labelled_by": dict(sorted(Counter(frame["label_source"]).items())),
        "dominant_topic": {name: int((rows["topic"] == name).sum()) for name in topics.names},
        "none_of_the_topics": int((rows["topic"] == "").sum()),
        "headings_against_hand": agreement(frame, topics),
        "messages": messages,
    }
    for name, count in report["dominant_topic"].items():
        if count == 0:
            messages.append(f"topic {name} has no labelled paragraph: it cannot be learnt")
    return frame, report


def find(sources: tuple[str, ...]) -> list[Path]:
    """The files that paths and globs name, each once, sorted within a glob."""
    found: dict[Path, None] = {}
    for source in sources:
        matches = sorted(glob.glob(source, recursive=True))
        if not matches:
            raise UserError(f"prepare.sources: {source} names no file")
        found |= dict.fromkeys(map(Path, matches))
    return list(found)


def agreement(frame: pd.DataFrame, topics: Topics) -> dict[str, Any]:
    """How far headings' labels agree with hand labels where there are both (Cohen's kappa)."""
    hand = corpus.labelled(frame[frame["label_source"] == "hand"])
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
    frame, report = prepare(params.prepare, params.topics)
    corpus.write_paragraphs(frame, PARAGRAPHS)
    files.write_json(REPORT, report)
    counts = ", ".join(f"{count} {name}" for name, count in report["dominant_topic"].items())
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
    for message in report["messages"]:
        print(f"note: {message}")


if __name__ == "__main__":
    errors.run(main)
