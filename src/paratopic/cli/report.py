"""The command `paratopic report`: prints what stage compare wrote, or makes the whole page."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Column, Table

from paratopic.cli.mistakes import mistakes_of
from paratopic.cli.project import Project, measured, next_steps, print_steps, read_project
from paratopic.cli.shares import read_corpus
from paratopic.evaluation.comparison import Comparison, describe_weak
from paratopic.evaluation.report import thresholds_in_words
from paratopic.findings.page import render_page
from paratopic.findings.wording import overview
from paratopic.labels.summary import Prepared, describe_agreement
from paratopic.project import files
from paratopic.project.errors import UserError, in_units, signed
from paratopic.project.files import COMPARISON, PREPARED, WHOLE_PAGE
from paratopic.project.params import read_params
from paratopic.project.terminal import terminal

Made = TypeVar("Made")

ACTIVATE = Path(".venv/bin/activate")

# Words of the table.
CAPTION = (
    "Each paragraph is predicted by a model that did not learn from it (out-of-fold). macro-F1: "
    "mean F1 over the topics; for answers, none counts as one. champion: the model that "
    "predicts. dummy: always gives the most frequent answer. Quote the {quote}; "
    "`report --open` explains all."
)
# Command or file → what it is for.
NEXT = {
    "paratopic predict FILE": "predict the topics of an article's paragraphs",
    "paratopic ui": "compare the runs in MLflow",
    "paratopic report --open": f"read or send the whole report, {WHOLE_PAGE}",
}


def report(
    open_page: Annotated[
        bool,
        typer.Option(
            "--open", help=f"Write the whole report, {WHOLE_PAGE}, and open it in a browser."
        ),
    ] = False,
) -> None:
    """Print the comparison of the models, and what to do next."""
    params, comparison = read_params(), Comparison.load(COMPARISON)
    project = _or_why(read_project)
    if isinstance(project, str):
        print(f"note: {project}")
    else:
        project.note_changes()
    if open_page:
        page = render_page(params.topics, params.models, params.unit, _on_request(project))
        files.write_text(WHOLE_PAGE, page)
        whole = WHOLE_PAGE.resolve()
        print(f"written: {whole}")
        if not webbrowser.open(whole.as_uri()):
            print("There is no browser here to open it.")
    else:
        _print(comparison, params.unit)
        inactive = ACTIVATE.exists() and not os.environ.get("VIRTUAL_ENV")
        first = {f"source {ACTIVATE}": "first, in every new terminal"} if inactive else {}
        print_steps(first | NEXT | ({} if isinstance(project, str) else next_steps(project)))


def _print(comparison: Comparison, unit: str) -> None:
    console = terminal()
    if comparison.models:
        console.print(_table(comparison))
    lines = describe_agreement(comparison.annotators)
    lines += describe_weak(Prepared.load(PREPARED), comparison)
    lines += [f"note: {note}" for note in comparison.notes]
    for names, lead in comparison.differences.items():
        verdict = "significant" if lead.significant else "not significant"
        change = f"{signed(lead.value, 3)} {comparison.metrics[0].title}"
        pair = names.replace(" - ", " − ")
        lines.append(f"{pair}: {change}, p = {lead.p:.4f}, {verdict}")
    lines.append(f"champion: {comparison.champion}: {comparison.reason}")
    for name in comparison.models:
        if figures := measured(name):
            lines.append(f"{name}: {thresholds_in_words(figures)}")
    console.print(*(in_units(line, unit) for line in lines), sep="\n")


def _on_request(project: Project | str) -> dict[str, object]:
    """The sections that need the champion to be loaded, or why they are missing."""
    if isinstance(project, str):
        return {"shares": project, "labels": "", "mistakes": project}
    params = project.params
    return {
        "shares": _or_why(
            lambda: overview(
                read_corpus(params.topics, project.champion, project.scores),
                params.evaluate.confidence,
                params.seed,
                {line.group.partition("=")[0] for line in project.lines},
            )
        ),
        "labels": project.basis,
        "mistakes": _or_why(lambda: mistakes_of(project)),
    }


def _or_why(make: Callable[[], Made]) -> Made | str:
    """What is made, or what is missing for it."""
    try:
        return make()
    except UserError as error:
        return str(error)


def _table(comparison: Comparison) -> Table:
    """A column for each model, with intervals where it has them."""
    models, champion = comparison.models, comparison.champion
    columns = [
        Column(f"{name}\n(champion)", style="bold") if name == champion else name for name in models
    ]
    # Macro-F1 has no interval where labels of some topics are too few for it.
    has_interval = models[champion][comparison.metrics[0].key].low is not None
    caption = CAPTION.format(quote="first row" if has_interval else "accuracy, with its interval")
    title = "Out-of-fold figures"
    table = Table("", *columns, title=title, caption=caption, caption_justify="left")
    for metric in comparison.metrics:
        cells = [str(figures.get(metric.key, "")) for figures in models.values()]
        if metric.is_main and any(cells):
            table.add_row(metric.title, *cells)
    return table
