"""The command line: thin, over what the other rooms do."""

from __future__ import annotations

import csv
import getpass
import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from paratopic import articles, bulk, classifier, documents, errors, files
from paratopic.articles import Article
from paratopic.classifier import Model
from paratopic.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from paratopic.labels import Label
    from paratopic.params import Params
    from paratopic.suggestion import Suggestion

app = typer.Typer(
    help="Paragraph topics from few labels.", no_args_is_help=True, pretty_exceptions_enable=False
)

Files = Annotated[
    list[str],
    typer.Argument(
        help="Articles (.txt, .md, .html, .docx, .pdf), folders and globs; - reads standard input."
    ),
]
Model_ = Annotated[
    str | None,
    typer.Option("--model", help="Which suggests; default: the transformer, else the champion."),
]
# Exit status where every row was written but some could not be answered.
SOME_ERRORS = 3


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Articles (.txt, .md, .html, .docx, .pdf); - reads standard input. With --out "
            "also tables (.csv, .jsonl, .parquet), folders and globs."
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="A model's folder or MLflow URI; default: the champion.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write here, every input in its own format.")
    ] = None,
    text: Annotated[str, typer.Option(help="Column of a table that holds its texts.")] = "text",
    resume: Annotated[bool, typer.Option(help="Go on where --out was broken off.")] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="What answers --out: this process, or a Ray cluster (RAY_ADDRESS)."),
    ] = "local",
) -> None:
    """Give the paragraphs of articles, or the rows of tables, their topics.

    With --out the exit status is 3 where rows could not be answered: their column error says why.
    """
    loaded = classifier.load(model)
    if out is not None:
        raise typer.Exit(_predict_files(loaded, paths, out, text, resume, engine))
    if engine != "local":
        raise UserError(f"--engine {engine}: name a folder for the answers (--out)")
    for path in paths:
        if Path(path).is_dir() or Path(path).suffix.lower() in (".csv", ".jsonl", ".parquet"):
            raise UserError(f"{path}: name a folder for the answers (--out)")
    for article in map(_read, paths):
        paragraphs = articles.split(article)
        answers = loaded.predict([paragraph.text for paragraph in paragraphs])
        if as_json:
            for paragraph, answer in zip(paragraphs, answers, strict=True):
                print(json.dumps(asdict(paragraph) | asdict(answer), ensure_ascii=False))
            continue
        table = Table("topic", "confidence", "paragraph", title=f"{article.name} ({loaded.kind})")
        for paragraph, answer in zip(paragraphs, answers, strict=True):
            table.add_row(
                "; ".join(answer.topics) or "–", f"{answer.confidence:.2f}", paragraph.text
            )
        Console().print(table)


def _predict_files(
    model: Model, paths: list[str], out: Path, text: str, resume: bool, engine: str
) -> int:
    """Predict files with progress on a terminal; returns the exit status."""
    inputs = bulk.find(paths)
    answering: AbstractContextManager[bulk.Engine] = nullcontext(bulk.here)
    if engine == "ray":
        from paratopic import cluster

        answering = cluster.started()
    console = Console(stderr=True)
    started = time.monotonic()
    with (
        answering as answers,
        Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} a second"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        ) as progress,
    ):
        task = progress.add_task("predict", total=1.0, rows=0, rate=0.0)
        first: list[int] = []  # rows that were there before, when work is resumed

        def advance(rows: int, share: float) -> None:
            first.append(rows) if not first else None
            rate = (rows - first[0]) / max(1e-9, time.monotonic() - started)
            progress.update(task, completed=share, rows=rows, rate=rate)

        done = bulk.predict_files(model, inputs, out, text, resume, advance, answers)
    print(f"{done.rows} rows of {len(inputs)} files in {out}, {done.errors} with an error")
    return SOME_ERRORS if done.errors else 0


@app.command()
def paragraphs(paths: Files) -> None:
    """Print lines for seeds/labels.csv, a "?" in place of the topics that a person has to give."""
    from paratopic import corpus, labels

    writer = csv.writer(sys.stdout, lineterminator="\n")
    names: set[str] = set()
    for path in _found(paths):
        article = _read(path)
        if article.name in names:
            raise UserError(f"{path}: another file is named {article.name} too: rename one of them")
        names.add(article.name)
        for paragraph in articles.split(article):
            text = corpus.first_words(paragraph.text)
            writer.writerow([paragraph.id, labels.UNDECIDED, text])


@app.command()
def suggest(
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs.")] = 50,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Tasks for Label Studio (.json), doccano (.jsonl) or a spreadsheet (.csv)."
        ),
    ] = None,
    model: Model_ = None,
) -> None:
    """Pick the unlabelled paragraphs that are most worth labelling next.

    Without --out they are printed as CSV; `paratopic label` opens them in a browser.
    """
    from paratopic import exchange

    params, frame, lines = _project()
    chosen, kind = _suggestions(params, frame, lines, n, model)
    if out is None:
        sys.stdout.write(exchange.sheet(chosen))
        return
    written = exchange.write(out, chosen, params.topics, kind)
    print(f"{len(chosen)} paragraphs to label: {', '.join(map(str, written))}")


@app.command("import")
def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Label Studio's JSON export, CSV, or doccano's JSONL export."),
    ],
    annotator: Annotated[
        str | None, typer.Option(help="Whose labels name nobody; default: the file's name.")
    ] = None,
) -> None:
    """Add the labels that people gave elsewhere to the labels' file.

    The order of files does not matter, and what is there already is not added again. The exit
    status is 3 where some of a file's labels could not be taken: each is told by its line or task.
    """
    from paratopic import exchange, labels

    params, frame, _ = _project()
    target = _labels_file(params)
    order = {identity: rank for rank, identity in enumerate(frame["id"])}
    problems = 0
    for path in paths:
        found = exchange.read(path, frame, params.topics)
        done = labels.merge(target, found.labels, annotator or path.stem, order, params.topics)
        for problem in found.problems:
            print(problem, file=sys.stderr)
        for dispute in done.disputes:
            print(f"disputed: {dispute}")
        left_out = "".join(f", {count} {why}" for why, count in sorted(found.left_out.items()))
        print(
            f"{path}: {done.added} new labels in {target}, {done.known} known, "
            f"{len(done.disputes)} disputed, {len(found.problems)} not taken{left_out}"
        )
        problems += len(found.problems)
    raise typer.Exit(SOME_ERRORS if problems else 0)


@app.command()
def label(
    path: Annotated[
        Path | None,
        typer.Argument(help="CSV with the paragraphs to label (`paratopic suggest`)."),
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs, without a file.")] = 50,
    annotator: Annotated[
        str, typer.Option(help="Who labels; default: the name you are logged in with.")
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    model: Model_ = None,
) -> None:
    """Label paragraphs by keyboard, on a page that only this machine can open."""
    from paratopic import exchange, labelling, suggestion

    params, frame, lines = _project()
    if path is None:
        items, _ = _suggestions(params, frame, lines, n, model)
    else:
        ids = exchange.ids(path, frame)
        answers = _asked(model).predict(frame.set_index("id")["text"][ids])
        items = suggestion.in_context(frame, ids, [answer.scores for answer in answers])
    if not items:
        raise UserError("there is nothing to label: every paragraph of the sources has a label")
    session = labelling.Session(
        _labels_file(params), annotator or getpass.getuser(), items, params.topics
    )
    labelling.serve(session, port)


def _project() -> tuple[Params, pd.DataFrame, list[Label]]:
    """The params, the paragraph table and the lines of labels.csv as they are now."""
    from paratopic import corpus, labels
    from paratopic.params import read_params

    params, table = read_params(), Path("data/paragraphs.parquet")
    if not table.exists():
        raise UserError(f"{table} not found: `dvc repro prepare` makes it")
    path = None if params.prepare.labels is None else Path(params.prepare.labels)
    lines = labels.read_lines(path) if path and path.exists() else []
    return params, corpus.read_paragraphs(table), lines


def _labels_file(params: Params) -> Path:
    if params.prepare.labels is None:
        raise UserError("params.yaml names no labels' file: set prepare.labels")
    return Path(params.prepare.labels)


def _suggestions(
    params: Params, frame: pd.DataFrame, lines: list[Label], n: int, model: str | None
) -> tuple[list[Suggestion], str]:
    from paratopic import labels, suggestion

    loaded = _asked(model)
    judged = {line.paragraph for line in labels.current(lines)}
    embed = partial(suggestion.embed, loaded, device=params.transformer.device)
    with Console(stderr=True).status("reading the unlabelled paragraphs"):  # on a terminal
        return suggestion.suggest(frame, judged, loaded, embed, n, params.seed), loaded.kind


def _asked(model: str | None) -> Model:
    """The model that suggests: the transformer where there is one, as it knows the definitions."""
    transformer = Path("models/transformer")
    return classifier.load(model or (transformer if transformer.is_dir() else None))


@app.command()
def report() -> None:
    """Print the comparison of the models, and what to do next."""
    path = Path("reports/summary.md")
    if not path.exists():
        raise UserError(f"{path} not found: run `make repro` in the project's root first")
    console = Console()
    comparison = files.read_json(path.with_name("comparison.json"), "`make repro`")
    # What of it a model of this mode has.
    others = {"micro_f1": "micro-F1", "accuracy": "accuracy", "log_loss": "log loss"}
    for measured in comparison["models"].values():
        others = {metric: title for metric, title in others.items() if metric in measured}
    table = Table("model", "macro-F1", "interval", *others.values(), title="Out-of-fold")
    for name, measured in comparison["models"].items():
        f1, champion = measured["macro_f1"], name == comparison["champion"]
        table.add_row(
            f"{name} (champion)" if champion else name,
            f"{f1['value']:.3f}",
            f"{f1['low']:.3f} to {f1['high']:.3f}",
            *(f"{measured[metric]['value']:.3f}" for metric in others),
            style="bold" if champion else None,
        )
    people = comparison.get("annotators")
    if people and people["macro_f1"] is not None:
        name = f"people ({people['paragraphs']} paragraphs)"
        table.add_row(name, f"{people['macro_f1']:.3f}", style="italic")
    console.print(table)
    if people and people["alpha"] is not None:
        console.print(
            f"people: Krippendorff's alpha {people['alpha']:.3f}; their macro-F1 against each "
            "other is the ceiling of what a model can reach"
        )
    for note in comparison["notes"]:
        console.print(f"note: {note}")
    for name, d in comparison["differences"].items():
        verdict = "significant" if d["significant"] else "not significant"
        console.print(f"{name}: {d['value']:+.3f} macro-F1, p = {d['p']:.4f}, {verdict}")
    for name in comparison["models"]:
        measures = path.parent / name / "metrics.json"
        if measures.exists():  # the dummy has none
            console.print(f"{name}: {_named(files.read_json(measures, '`make repro`'))}")
    console.print(
        Markdown(
            "Next:\n"
            "- `make ui` compares runs in MLflow\n"
            "- `.venv/bin/paratopic predict FILE` gives an article's paragraphs their topics\n"
            "- `reports/summary.md` says what is significant and which paragraphs go wrong"
        )
    )


def _named(measured: dict[str, Any]) -> str:
    """What a model's thresholds do, from its metrics.json."""
    if "naming" in measured:
        n = measured["naming"]
        return (
            f"names {n['named_a_paragraph']:.2f} topics a paragraph, people "
            f"{n['topics_a_paragraph']:.2f}"
        )
    a = measured["abstention"]
    right = "" if a["precision"] is None else f", {a['precision']:.0%} of them right"
    return f"names a topic for {a['coverage']:.0%} of paragraphs{right} (target {a['target']:.0%})"


@app.command()
def review(
    n: Annotated[int, typer.Option(help="List at most this many.", min=1)] = 50,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write them here too, to be labelled again: .json (Label Studio), .jsonl "
            "(doccano) or .csv (a spreadsheet, `paratopic label`)."
        ),
    ] = None,
) -> None:
    """List the hand labels that are doubtful, the most doubtful first, and why.

    Reasons: out-of-fold scores contradict the label, a near-duplicate is labelled otherwise, or no
    topic is probable. What --out writes does not tell the label: who labels again judges anew.
    """
    from paratopic import corpus, exchange, suggestion
    from paratopic import review as reviewing

    params, frame, _ = _project()
    rows, scores = reviewing.read(params.models, params.topics)
    found = reviewing.ranked(rows, scores, params.topics)
    doubtful = found[found["reason"] != ""]
    shown = doubtful.head(n)
    console = Console()
    table = Table("paragraph", "label", "suggestion", "confidence", "reason")
    for line in shown.to_dict("records"):
        table.add_row(
            corpus.first_words(line["text"]),
            line["topics"].replace(";", "; ") or "–",
            line["suggestion"] or "–",
            f"{line['confidence']:.2f}",
            line["reason"],
        )
    if len(doubtful):
        console.print(table)
    print(f"{len(doubtful)} of {len(rows)} hand labels are doubtful, {len(shown)} listed")
    if out is not None:
        said = [
            {line["suggestion"]: line["confidence"]} if line["suggestion"] else {}
            for line in shown.to_dict("records")
        ]
        again = suggestion.in_context(frame, list(shown["paragraph"]), said, list(shown["reason"]))
        written = exchange.write(out, again, params.topics, " and ".join(params.models))
        print(f"to be labelled again: {', '.join(map(str, written))}")


def _found(paths: list[str]) -> list[str]:
    """The files that paths, folders and globs name; what else folders hold is told on stderr."""
    found: list[str] = []
    for path in paths:
        some, others = ([], []) if path == "-" else documents.find([path], documents.SUFFIXES)
        found += ["-"] if path == "-" else map(str, some)
        for other, why in others:
            print(f"{other}: not read ({why})", file=sys.stderr)
    return found


def _read(path: str) -> Article:
    """Read an article; what of it is no paragraph is told on stderr."""
    if path == "-":
        article = Article("stdin", articles.decode(sys.stdin.buffer.read(), "standard input"))
    else:
        article = documents.read(Path(path))
    for part in articles.skipped(article):
        print(f"{path}: skipped ({part.reason}): {part.text}", file=sys.stderr)
    return article


def main() -> None:
    """Entry point; a user's mistake is told without a traceback."""
    errors.run(app)
