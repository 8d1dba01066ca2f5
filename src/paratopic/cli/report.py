"""The commands `paratopic report` and `paratopic status`: figures, and missing labels."""

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
from paratopic.labels.summary import describe_agreement, describe_sources, sources_that_label
from paratopic.labels.votes import tie_rule_in_words
from paratopic.project import files
from paratopic.project.errors import MOST_NAMED, UserError, in_units, plural, shortened_list, signed
from paratopic.project.files import Paths
from paratopic.project.terminal import stdout_console
from paratopic.project.topics import NO_TOPIC, default_definition
from paratopic.results.project import Labelling, Project

Result = TypeVar("Result")

ACTIVATE = Path(".venv/bin/activate")

CAPTION = (
    "Each paragraph is predicted by a model that did not learn from it (out-of-fold). macro-F1: "
    "mean F1 over the topics; for answers, none counts as one. champion: the model that "
    "predicts. dummy: gives the answer that is most frequent in the other folds. Quote the "
    "{quote}; `report --open` explains all."
)
# Command → its purpose; `report` prints these steps before those of the project.
REPORT_STEPS = {
    "paratopic predict FILE": "predict the topics of an article's paragraphs",
    "paratopic ui": "compare the runs in MLflow",
    "paratopic report --open": f"read or send the whole report, {Paths().full_page}",
}


def report(
    open_page: Annotated[
        bool,
        typer.Option(
            "--open", help=f"Write the whole report, {Paths().full_page}, and open it in a browser."
        ),
    ] = False,
) -> None:
    """Print the comparison of the models, and what to do next."""
    project = Project()
    params, comparison = project.params, project.comparison
    labelling = _result_or_problem(lambda: project.labelling)
    if isinstance(labelling, str):
        print(f"note: {labelling}")
    else:
        print_changes(project)
    if open_page:
        path = project.paths.full_page.resolve()
        sections = _full_page_sections(project, labelling)
        page = render_page(project.paths, params.topics, params.models, params.unit, sections)
        files.write_text(path, page)
        print(f"written: {path}")
        if not webbrowser.open(path.as_uri()):
            print("There is no browser here to open it.")
    else:
        _print_comparison(project, comparison)
        is_inactive = ACTIVATE.exists() and not os.environ.get("VIRTUAL_ENV")
        steps = {f"source {ACTIVATE}": "first, in every new terminal"} if is_inactive else {}
        further_steps = {} if isinstance(labelling, str) else next_steps(project)
        print_steps(steps | REPORT_STEPS | further_steps)


def _print_comparison(project: Project, comparison: Comparison) -> None:
    """Print the table of figures; lines on annotators, sources, leads, champion and thresholds."""
    console = stdout_console()
    if comparison.models:
        console.print(_comparison_table(comparison))
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
        if metrics := read_metrics(project, name):
            lines.append(f"{name}: {thresholds_in_words(metrics)}")
    console.print(*(in_units(line, project.params.unit) for line in lines), sep="\n")


def _full_page_sections(project: Project, labelling: Labelling | str) -> dict[str, object]:
    """The sections of `render_page` that need the champion: shares, labels, mistakes, labelled.

    Shares and mistakes, like `labelling`, may be a UserError's message; labelled may be None.
    """
    if isinstance(labelling, str):
        return {"shares": labelling, "labels": "", "mistakes": labelling}
    columns = {line.group.partition("=")[0] for line in labelling.lines}
    confidence, seed = project.params.evaluate.confidence, project.params.seed
    mistakes = _result_or_problem(project.errors)
    labelled = None
    if not isinstance(mistakes, str) and len(mistakes.answers.mistakes):
        labelled = labelled_paragraphs(project.paths, project.paths.models / project.champion)
    return {
        "shares": _result_or_problem(lambda: overview(project.corpus(), confidence, seed, columns)),
        "labels": labelling.basis,
        "mistakes": mistakes,
        "labelled": labelled,
    }


def _result_or_problem(make: Callable[[], Result]) -> Result | str:
    try:
        return make()
    except UserError as error:
        return str(error)


def _comparison_table(comparison: Comparison) -> Table:
    """Table of main metrics (rows) by model (columns, at least one), the champion's in bold."""
    models, champion = comparison.models, comparison.champion
    best = Column(f"{champion}\n(champion)", style="bold")
    columns = [best if name == champion else name for name in models]
    # Macro-F1 has no interval if some topics have too few labels.
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
    paragraphs = labelling.paragraphs
    unlabelled = paragraphs[paragraphs["label_source"] == "none"]
    _print_labels(project)
    reliabilities = describe_sources(sources_that_label(project.prepared))
    rest = labelling.in_units(f"not labelled: {describe_size(unlabelled)}")
    print(*reliabilities, rest, sep="\n")
    if not project.changed_sources:
        notes = missing_notes(labelling.labelled, read_metrics(project, project.champion))
        if notes:
            print("Missing:", *map(labelling.in_units, notes), sep="\n  ")
    if n_tied := len(labelling.tied):
        rule = tie_rule_in_words(project.params.prepare.ties, project.params.topics)
        tied = labelling.in_units(plural(n_tied, "paragraph"))
        print(f"Ties between annotators: {tied}, {rule} until another answer settles it")
    if n_retired := len(labelling.retired):
        waiting = labelling.in_units(plural(n_retired, "paragraph"))
        print(f"To label again, because the codebook changed: {waiting}; `suggest` has them first")
    print_steps(next_steps(project))


def _print_labels(project: Project) -> None:
    """Print numbers of labels by topic, how they were drawn, and numbers of votes by annotator."""
    labelling, in_units = project.labelling, project.labelling.in_units
    data = labelling.labelled
    counts = count_labels(data)
    columns = [Column(str(name), justify="right") for name in counts]
    n_paragraphs = plural(len(labelling.paragraphs), "paragraph")
    title = in_units(f"{len(data.rows)} of {n_paragraphs} labelled")
    if project.changed_sources:
        title += " before these changes"
    table = Table("topic", *columns, title=title)
    for topic, row in counts.iterrows():
        table.add_row(str(topic), *map(str, row))
    stdout_console().print(table)
    if basis := labelling.basis:
        print(in_units(basis))
    annotators = Counter(line.who for line in labelling.current.votes)
    for name, n in annotators.most_common():
        labelled = in_units(f"{plural(n, 'paragraph')} labelled")
        print(f"{project.params.prepare.labels}: {labelled} by {name}")


def count_labels(data: Labelled) -> pd.DataFrame:
    """Count labelled paragraphs: a row for each topic, and the last one for none of the topics.

    Columns are "by hand", "from weak sources", and "articles", the number with such a hand label.
    """
    outcomes, by_hand = data.outcomes, data.by_hand
    counts = {
        "by hand": outcomes[by_hand].sum(),
        "from weak sources": outcomes[~by_hand].sum(),
        "articles": outcomes[by_hand].groupby(data.rows["article"]).any().sum(),
    }
    return pd.DataFrame(counts).astype(int)


def missing_notes(data: Labelled, metrics: Metrics | None) -> list[str]:
    """Notes on missing labels: of topics (`_topic_notes`), for new articles and sure predictions.

    Without `metrics`, the champion's, none is about unmeasured topics or sure predictions.
    """
    hand = data.hand_labelled
    notes = _topic_notes(data, metrics)
    topical = hand.rows[~hand.outcomes[NO_TOPIC]]
    n_articles = topical["article"].nunique()
    if n_articles < LEAST_FOLDS:
        notes.append(
            f"figures for new articles: they take {LEAST_FOLDS} articles with labels of a topic, "
            f"and there {'is' if n_articles == 1 else 'are'} {n_articles}. Until then, figures may "
            "be too high: models are tested on articles of which they have seen other paragraphs"
        )
    if metrics and (reason := why_none_is_sure(metrics)):
        notes.append(f"sure predictions: {reason}")
    return notes


def _topic_notes(data: Labelled, metrics: Metrics | None) -> list[str]:
    """At most four notes, each of which names topics that lack labels, a definition or figures.

    They are about topics with fewer than two hand labels; with nothing but a name as definition;
    with two labels but no figures in `metrics`, if given; and about none, if no hand label is none.
    """
    topics, hand = data.topics, data.hand_labelled
    counts, notes = hand.counts, []
    if few := [name for name in topics.names if counts[name] < 2]:
        lacking = "measured" if topics.descriptions else "learnt and measured"
        notes.append(
            f"{shortened_list(few, MOST_NAMED)}: fewer than 2 hand labels, too few to be {lacking}"
        )
    figures = metrics.topics if metrics else {}
    labelled = [name for name in figures if counts.get(name, 0) > 1]  # A renamed one has no count.
    unmeasured = [name for name in labelled if not figures[name].support]
    if undefined := [t.name for t in topics.topics if t.definition == default_definition(t.name)]:
        notes.append(
            f"{shortened_list(undefined, MOST_NAMED)}: no definition in the codebook but the name; "
            "with few labels, models learn most from definitions"
        )
    if unmeasured:
        notes.append(
            f"{shortened_list(unmeasured, MOST_NAMED)}: not measured by the last `dvc repro`. "
            "A topic is measured once two articles have labels of it, and `dvc repro` has run"
        )
    if not counts[NO_TOPIC]:
        notes.append(
            f"{NO_TOPIC}: no label yet; a few such paragraphs teach the models when to predict none"
        )
    return notes


def read_metrics(project: Project, model: str) -> Metrics | None:
    """Metrics of a model; None if it has none, like the dummy."""
    path = project.paths.model_reports / model / "metrics.json"
    return project.metrics(model) if path.exists() else None
