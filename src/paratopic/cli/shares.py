"""The command `paratopic shares`: how much of the project's paragraphs is about what.

The estimates are for `evaluation`, which is imported late.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from paratopic.cli.forecast import check_scored
from paratopic.inference.loading import load
from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.paths import CHAMPION, COMPARISON, METADATA, PARAGRAPHS, PREDICTED, SCORES
from paratopic.project.progress import bar

if TYPE_CHECKING:
    import pandas as pd

    from paratopic.evaluation.findings import Corpus, Findings
    from paratopic.inference.scores import Scores
    from paratopic.project.params import Params

# Paragraphs that are predicted between two steps of the progress bar.
STEP = 256
SUFFIXES = (".csv", ".json", ".png", ".svg")

By = Annotated[
    list[str] | None,
    typer.Option(
        help="Column to divide the paragraphs by: year, month or date, or any column of metadata; "
        "repeat for a second one."
    ),
]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(
        help="Two groups: the first minus the second. By default the last period minus the first.",
        show_default=False,
    ),
]
Weigh = Annotated[
    Literal["paragraphs", "words", "articles"],
    typer.Option(help="What counts equally: each paragraph, each word, or each article."),
]
Distinct = Annotated[
    bool, typer.Option("--distinct", help="Count copies of a text once in each group.")
]
Outs = Annotated[
    list[Path] | None,
    typer.Option(help="File to write: .csv, .json, .png or .svg; repeat for several."),
]


def shares(
    by: By = None,
    compare: Compare = None,
    weigh: Weigh = "paragraphs",
    distinct: Distinct = False,
    out: Outs = None,
) -> None:
    """Estimate how much of the paragraphs is about each topic, with intervals that hold.

    All paragraphs of the project count. Predictions are corrected by labels that were drawn at
    random (`paratopic label --random`).
    """
    from paratopic.evaluation import findings
    from paratopic.project.params import read_params

    columns, outs = by or [], out or []
    if len(columns) > 2:
        raise UserError("--by: there are two columns at most; leave one out")
    if compare and not columns:
        raise UserError("--compare: name the column that the groups are of (--by)")
    for path in outs:
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"--out {path}: name a file that ends in {', '.join(SUFFIXES)}")
    params = read_params()
    corpus, confidence = _read_corpus(params), params.evaluate.confidence
    copies = not distinct
    estimated = findings.find(
        corpus, columns, confidence, weighing=weigh, copies=copies, compare=compare
    )
    _print(estimated, columns, corpus, confidence)
    counted = {"paragraphs": "paragraph", "words": "word", "articles": "article"}[weigh]
    print(f"Each {counted} counts the same, copies of a text {'each' if copies else 'once'}.")
    print(findings.METHOD)
    for path in outs:
        _write(path, estimated, columns, f"Shares of the {weigh}, {confidence:.0%} intervals")
        print(f"written: {path}")


def _read_corpus(params: Params) -> Corpus:
    from paratopic.corpus.metadata import read_metadata
    from paratopic.corpus.table import read_paragraphs, read_parquet
    from paratopic.evaluation.findings import corpus_of

    champion = str(files.read_json(COMPARISON, "`dvc repro`").get("champion"))
    check_scored(champion)
    frame = read_paragraphs(PARAGRAPHS)
    scores = read_parquet(SCORES / champion / "scores.parquet")
    return corpus_of(frame, read_metadata(METADATA), _predict(frame), scores, params.topics)


def _predict(frame: pd.DataFrame) -> Scores:
    """Probabilities of the distinct texts by the champion; kept, because they may take minutes."""
    import hashlib

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from paratopic.corpus.table import passages
    from paratopic.evaluation.findings import distinct_texts

    model = load(str(CHAMPION))
    read = [path.read_bytes() for path in (PARAGRAPHS, CHAMPION / "manifest.json")]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in read)).hexdigest()
    try:
        kept = pq.read_table(PREDICTED)
        if (kept.schema.metadata or {}).get(b"of") == digest.encode():
            return np.column_stack([column.to_numpy() for column in kept.columns])
    except (OSError, pa.ArrowException):
        pass  # there is none, or it is damaged: it is made anew
    texts = passages(frame, distinct_texts(frame)[1])
    parts = []
    with bar("paragraphs", len(texts)) as advance:
        for start in range(0, len(texts), STEP):
            parts.append(model.predict_proba(texts[start : start + STEP]))
            advance(min(start + STEP, len(texts)))
    predicted = np.concatenate(parts)
    table = pa.table({name: predicted[:, k] for k, name in enumerate(model.classes_)})
    with files.aside(PREDICTED) as draft:
        pq.write_table(table.replace_schema_metadata({"of": digest}), draft)
    return predicted


def _print(findings: Findings, columns: Sequence[str], corpus: Corpus, confidence: float) -> None:
    """Print a line for each group, or for each topic if there is one group, and the changes."""
    from paratopic.evaluation.findings import BORROWED, sentence

    table, console = findings.table, Console(highlight=False)
    shown = Table(title=f"Shares with {confidence:.0%} intervals")
    for name in columns:
        shown.add_column(name)
    if columns:
        for topic in corpus.outcomes:
            shown.add_column(topic, justify="right")
        for name in ("paragraphs", "articles", "labels"):
            shown.add_column(name, justify="right")
        for key, part in table.groupby(list(columns), sort=False):
            first = part.iloc[0]
            cells = [_cell(row) for row in part.to_dict("records")]
            sizes = [f"{first[name]:,}" for name in ("paragraphs", "articles", "labels")]
            shown.add_row(*map(str, key), *cells, *sizes)
    else:
        shown.add_column("topic")
        shown.add_column("share", justify="right")
        for row in table.to_dict("records"):
            shown.add_row(row["topic"], _cell(row))
    console.print(shown)
    if (table["rests_on"] == BORROWED).any():
        print("* rests on all labels: the model is taken to err here as it does elsewhere, so that")
        print("  there is no interval.")
        if findings.differ is not None:
            print(f"  Labels of the groups speak {_against(findings.differ)} that.")
    for row in findings.changes.to_dict("records"):
        print(f"{row['what']}, {row['topic']}: {_points(row)}")
    print(sentence(findings, corpus, confidence))


def _against(p: float) -> str:
    verdict = "against" if p < 0.05 else "not against"
    return f"{verdict} (p = {p:.3f})".replace("p = 0.000)", "p < 0.001)")


def _cell(row: Mapping[Hashable, Any]) -> str:
    from paratopic.evaluation.findings import BORROWED

    share, low, high = (100 * row[name] for name in ("share", "low", "high"))
    if low == low:  # not NaN
        return f"{share:.0f} % ({low:.0f}–{high:.0f})"
    return f"{share:.0f} %{'*' if row['rests_on'] == BORROWED else ''}"


def _points(row: Mapping[Hashable, Any]) -> str:
    change, low, high = (100 * row[name] for name in ("change", "low", "high"))
    interval = f" ({low:+.1f} to {high:+.1f})" if low == low else ", without an interval"
    return f"{change:+.1f} points{interval}"


def _write(path: Path, findings: Findings, columns: Sequence[str], title: str) -> None:
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            files.write_csv(path, findings.table)
        elif suffix == ".json":
            shares = findings.table.to_dict("records")
            changes = findings.changes.to_dict("records")
            files.write_json(path, {"shares": shares, "changes": changes, "about": title})
        else:
            from paratopic.evaluation.figures import draw_shares

            draw_shares(path, findings, columns, title)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written: {error.strerror}") from None
