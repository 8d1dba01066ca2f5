"""The command `paratopic status`: what is labelled, what is missing, and what to do next."""

from __future__ import annotations

from collections import Counter

import pandas as pd
from rich.table import Column, Table

from paratopic.cli.project import (
    Project,
    measured,
    next_steps,
    print_steps,
    read_project,
    read_texts,
)
from paratopic.cli.staleness import changed_sources
from paratopic.corpus.folds import LEAST_FOLDS
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import describe_size
from paratopic.evaluation.report import Metrics, why_none_is_sure
from paratopic.labels.answers import label_in_a_tie
from paratopic.labels.summary import describe_sources, sources_that_label
from paratopic.project.codebook import first_definition
from paratopic.project.errors import MOST_NAMED, in_short, plural
from paratopic.project.files import PARAMS
from paratopic.project.terminal import terminal
from paratopic.project.topics import NO_TOPIC


def status() -> None:
    """Show the labels by topic and annotator, what is missing, and what to do next.

    The paragraphs are those of the last `dvc repro prepare`.
    """
    read_texts()
    project = read_project()
    project.note_changes()
    is_old = bool(changed_sources(project.params))
    frame, topics = project.paragraphs, project.params.topics
    unlabelled = frame[frame["label_source"] == "none"]
    _print_labels(project, is_old)
    worth = describe_sources(sources_that_label(project.prepared))
    print(*worth, project.in_units(f"not labelled: {describe_size(unlabelled)}"), sep="\n")
    if not is_old and (notes := missing(project.labelled, measured(project.champion))):
        print("Missing:", *map(project.in_units, notes), sep="\n  ")
    if n_tied := len(project.tied):
        given = label_in_a_tie(project.params.prepare.ties, topics)
        tied = project.in_units(plural(n_tied, "paragraph"))
        print(f"Ties between annotators: {tied}, {given} until another answer settles it")
    if n_retired := len(project.retired):
        waiting = project.in_units(plural(n_retired, "paragraph"))
        print(f"To label again, because the codebook changed: {waiting}; `suggest` has them first")
    print_steps(next_steps(project))


def _print_labels(project: Project, is_old: bool) -> None:
    """Print how many labels each topic has, whether they are a sample, and who gave them."""
    data, in_units = project.labelled, project.in_units
    counts = count_labels(data)
    columns = [Column(str(name), justify="right") for name in counts]
    title = in_units(f"{len(data.rows)} of {plural(len(project.paragraphs), 'paragraph')} labelled")
    if is_old:
        title += " before these changes"
    table = Table("topic", *columns, title=title)
    for topic, row in counts.iterrows():
        table.add_row(str(topic), *map(str, row))
    terminal().print(table)
    if basis := project.basis:
        print(in_units(basis))
    annotators = Counter(line.who for line in project.current.answers)
    for name, n in annotators.most_common():
        labelled = in_units(f"{plural(n, 'paragraph')} labelled")
        print(f"{project.params.prepare.labels}: {labelled} by {name}")


def count_labels(data: Labelled) -> pd.DataFrame:
    """Count the labels of each topic.

    Returns
    -------
    One row for each topic, and a last one for none of the topics. Columns are numbers of
    paragraphs: "by hand" and "from weak sources"; and "articles", of those with a hand label.
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
            f"{in_short(undefined, MOST_NAMED)}: no definition but the name (topics.codebook in "
            f"{PARAMS}); with few labels, models learn most from definitions"
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
