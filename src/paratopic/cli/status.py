"""The command `paratopic status`: what is labelled, what is missing, and what to do next."""

from __future__ import annotations

from collections import Counter

from rich.table import Table

from paratopic.annotation.progress import count_labels, missing
from paratopic.cli.project import read_project
from paratopic.cli.terminal import terminal
from paratopic.corpus.table import describe_size
from paratopic.labels.answers import label_in_a_tie
from paratopic.labels.sample import describe_sample, sample_of
from paratopic.labels.summary import describe_sources, sources_that_label
from paratopic.project import files
from paratopic.project.paths import COMPARISON, MODEL_REPORTS, PREPARED
from paratopic.project.plurals import plural


def status() -> None:
    """Show the labels by topic and annotator, what is missing, and what to do next.

    The paragraphs are those of the last `dvc repro prepare`.
    """
    project, console = read_project(), terminal(highlight=False)
    prepared = files.read_json(PREPARED, "stage prepare")
    frame, topics = project.paragraphs, project.params.topics
    data, unlabelled = project.labelled, frame[frame["label_source"] == "none"]
    table = Table("topic", title=f"{len(data.rows)} of {plural(len(frame), 'paragraph')} labelled")
    counts = count_labels(data)
    for column in counts:
        table.add_column(str(column), justify="right")
    for topic, row in counts.iterrows():
        table.add_row(str(topic), *map(str, row))
    console.print(table)
    if by_hand := int(data.by_hand.sum()):
        print(describe_sample(sample_of(frame), by_hand))
    annotators = Counter(line.annotator for line in project.answers if line.annotator)
    for name, n in annotators.most_common():
        print(f"labelled by {name}: {plural(n, 'paragraph')}")
    for line in describe_sources(sources_that_label(prepared)):
        print(line)
    print(f"not labelled: {describe_size(unlabelled)}")
    measured = None
    if COMPARISON.exists():
        champion = files.read_json(COMPARISON, "`dvc repro`").get("champion")
        path = MODEL_REPORTS / str(champion) / "metrics.json"
        measured = files.read_json(path, "`dvc repro`") if path.exists() else None
    if notes := missing(data, measured):
        print("Missing:")
        for note in notes:
            print(f"  {note}")
    if n_tied := len(project.tied):
        given = label_in_a_tie(project.params.prepare.ties, topics.mode)
        tied = plural(n_tied, "paragraph")
        print(f"Ties between annotators: {tied}, {given} until another answer settles it")
    if n_retired := len(project.retired):
        waiting = plural(n_retired, "paragraph")
        print(f"To label again, because the codebook changed: {waiting}; `suggest` has them first")
    print("Next:")
    if n_tied:
        print(
            "  paratopic review --out ties.csv    list the ties, and write a sheet to settle them"
        )
    if len(unlabelled):
        print("  paratopic suggest --out sheet.csv  pick the paragraphs most worth labelling")
        print("  paratopic label sheet.csv          label them in the browser")
    else:
        sources = ", ".join(project.params.prepare.paths)
        print(f"  add more texts to {sources}, and run `dvc repro prepare`")
    print("  dvc repro                          train and measure again")
