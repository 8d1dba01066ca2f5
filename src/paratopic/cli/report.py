"""The commands `paratopic report` and `paratopic status`: figures, and what is missing."""

from __future__ import annotations

import os
import webbrowser
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import pandas as pd
import typer
from rich.table import Column, Table

from paratopic.cli.next_steps import next_steps, print_changes, print_steps, read_texts
from paratopic.cli.predict import labelled_paragraphs
from paratopic.corpus.folds import LEAST_FOLDS
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import describe_size
from paratopic.evaluation.comparison import Comparison, describe_weak
from paratopic.evaluation.model_report import Metrics, thresholds_in_words, why_none_is_sure
from paratopic.findings.page import render_page
from paratopic.findings.wording import overview
from paratopic.labels.answers import label_in_a_tie
from paratopic.labels.summary import describe_agreement, describe_sources, sources_that_label
from paratopic.project import files
from paratopic.project.errors import MOST_NAMED, UserError, in_short, in_units, plural, signed
from paratopic.project.files import Paths
from paratopic.project.terminal import terminal
from paratopic.project.topics import NO_TOPIC, first_definition
from paratopic.results.project import Labelling, Project

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
    "paratopic report --open": f"read or send the whole report, {Paths().whole_page}",
}


def report(
    open_page: Annotated[
        bool,
        typer.Option(
            "--open",
            help=f"Write the whole report, {Paths().whole_page}, and open it in a browser.",
        ),
    ] = False,
) -> None:
    """Print the comparison of the models, and what to do next."""
    project = Project()
    params, comparison = project.params, project.comparison
    labelling = _or_why(lambda: project.labelling)
    if isinstance(labelling, str):
        print(f"note: {labelling}")
    else:
        print_changes(project)
    if open_page:
        whole, more = project.paths.whole_page.resolve(), _on_request(project, labelling)
        page = render_page(project.paths, params.topics, params.models, params.unit, more)
        files.write_text(whole, page)
        print(f"written: {whole}")
        if not webbrowser.open(whole.as_uri()):
            print("There is no browser here to open it.")
    else:
        _print(project, comparison)
        inactive = ACTIVATE.exists() and not os.environ.get("VIRTUAL_ENV")
        first = {f"source {ACTIVATE}": "first, in every new terminal"} if inactive else {}
        print_steps(first | NEXT | ({} if isinstance(labelling, str) else next_steps(project)))


def _print(project: Project, comparison: Comparison) -> None:
    console = terminal()
    if comparison.models:
        console.print(_table(comparison))
    lines = describe_agreement(comparison.annotators)
    lines += describe_weak(project.prepared, comparison)
    lines += [f"note: {note}" for note in comparison.notes]
    for names, lead in comparison.differences.items():
        verdict = "significant" if lead.significant else "not significant"
        change = f"{signed(lead.value, 3)} {comparison.metrics[0].title}"
        pair = names.replace(" - ", " − ")
        lines.append(f"{pair}: {change}, p = {lead.p:.4f}, {verdict}")
    lines.append(f"champion: {comparison.champion}: {comparison.reason}")
    for name in comparison.models:
        if figures := measured(project, name):
            lines.append(f"{name}: {thresholds_in_words(figures)}")
    console.print(*(in_units(line, project.params.unit) for line in lines), sep="\n")


def _on_request(project: Project, labelling: Labelling | str) -> dict[str, object]:
    """The sections that need the champion to be loaded, or why they are missing."""
    if isinstance(labelling, str):
        return {"shares": labelling, "labels": "", "mistakes": labelling}
    drawn_by = {line.group.partition("=")[0] for line in labelling.lines}
    confidence, seed = project.params.evaluate.confidence, project.params.seed
    mistakes, labelled = _or_why(project.errors), None
    if not isinstance(mistakes, str) and len(mistakes.answers.mistakes):
        labelled = labelled_paragraphs(project.paths, project.paths.models / project.champion)
    return {
        "shares": _or_why(lambda: overview(project.corpus(), confidence, seed, drawn_by)),
        "labels": labelling.basis,
        "mistakes": mistakes,
        "labelled": labelled,
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


def status() -> None:
    """Show the labels by topic and annotator, what is missing, and what to do next.

    The paragraphs are those of the last `dvc repro prepare`.
    """
    project = Project()
    read_texts(project)
    labelling = project.labelling
    print_changes(project)
    frame = labelling.paragraphs
    unlabelled = frame[frame["label_source"] == "none"]
    _print_labels(project)
    reliabilities = describe_sources(sources_that_label(project.prepared))
    print(
        *reliabilities, labelling.in_units(f"not labelled: {describe_size(unlabelled)}"), sep="\n"
    )
    if not project.changed_sources and (
        notes := missing(labelling.labelled, measured(project, project.champion))
    ):
        print("Missing:", *map(labelling.in_units, notes), sep="\n  ")
    if n_tied := len(labelling.tied):
        given = label_in_a_tie(project.params.prepare.ties, project.params.topics)
        tied = labelling.in_units(plural(n_tied, "paragraph"))
        print(f"Ties between annotators: {tied}, {given} until another answer settles it")
    if n_retired := len(labelling.retired):
        waiting = labelling.in_units(plural(n_retired, "paragraph"))
        print(f"To label again, because the codebook changed: {waiting}; `suggest` has them first")
    print_steps(next_steps(project))


def _print_labels(project: Project) -> None:
    """Print how many labels each topic has, whether they are a sample, and who gave them."""
    labelling, in_units = project.labelling, project.labelling.in_units
    data = labelling.labelled
    counts = count_labels(data)
    columns = [Column(str(name), justify="right") for name in counts]
    of_all = plural(len(labelling.paragraphs), "paragraph")
    title = in_units(f"{len(data.rows)} of {of_all} labelled")
    if project.changed_sources:
        title += " before these changes"
    table = Table("topic", *columns, title=title)
    for topic, row in counts.iterrows():
        table.add_row(str(topic), *map(str, row))
    terminal().print(table)
    if basis := labelling.basis:
        print(in_units(basis))
    annotators = Counter(line.who for line in labelling.current.answers)
    for name, n in annotators.most_common():
        labelled = in_units(f"{plural(n, 'paragraph')} labelled")
        print(f"{project.params.prepare.labels}: {labelled} by {name}")


def count_labels(data: Labelled) -> pd.DataFrame:
    """Count the paragraphs with each topic (rows; the last one is none of the topics) by source.

    Column "articles" has the number of articles with a hand label.
    """
    has, by_hand = data.outcomes, data.by_hand
    counts = {
        "by hand": has[by_hand].sum(),
        "from weak sources": has[~by_hand].sum(),
        "articles": has[by_hand].groupby(data.rows["article"]).any().sum(),
    }
    return pd.DataFrame(counts).astype(int)


def missing(data: Labelled, measured: Metrics | None) -> list[str]:
    """Say what more labels would allow, the nearest first, by the champion's metrics.json."""
    topics, hand = data.topics, data.hand
    counts, notes = hand.counts, []
    if few := [name for name in topics.names if counts[name] < 2]:
        lacking = "measured" if topics.descriptions else "learnt and measured"
        notes.append(
            f"{in_short(few, MOST_NAMED)}: fewer than 2 hand labels, too few to be {lacking}"
        )
    unmeasured = [
        name
        for name, figures in (measured.topics.items() if measured else ())
        if not figures.support and counts.get(name, 0) > 1  # it may have another name by now
    ]
    if undefined := [t.name for t in topics.topics if t.definition == first_definition(t.name)]:
        notes.append(
            f"{in_short(undefined, MOST_NAMED)}: no definition in the codebook but the name; "
            "with few labels, models learn most from definitions"
        )
    if unmeasured:
        notes.append(f"{in_short(unmeasured, MOST_NAMED)}: not measured by the last `dvc repro`")
    if not counts[NO_TOPIC]:
        notes.append(
            f"{NO_TOPIC}: no label yet; a few such paragraphs teach the models when to predict none"
        )
    topical = hand.rows[~hand.outcomes[NO_TOPIC]]
    n_articles = topical["article"].nunique()
    if n_articles < LEAST_FOLDS:
        notes.append(
            f"figures for new articles: they take {LEAST_FOLDS} articles with labels of a topic, "
            f"and there {'is' if n_articles == 1 else 'are'} {n_articles}. Until then, figures may "
            "be too high: models are tested on articles of which they have seen other paragraphs"
        )
    if measured and (why := why_none_is_sure(measured)):
        notes.append(f"sure predictions: {why}")
    return notes


def measured(project: Project, model: str) -> Metrics | None:
    """Figures of a model; None where there are none, as of the dummy."""
    path = project.paths.model_reports / model / "metrics.json"
    return project.metrics(model) if path.exists() else None
