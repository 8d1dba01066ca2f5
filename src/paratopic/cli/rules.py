"""The command `paratopic rules`: what the rules of the codebook find, and where they are wrong."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from paratopic.cli.labels import read_project, refuse_former_topics
from paratopic.cli.terminal import terminal
from paratopic.labels.log import first_words
from paratopic.project.errors import UserError
from paratopic.project.plurals import plural
from paratopic.project.topics import NO_TOPIC, join_cell


def rules(
    n: Annotated[int, typer.Option(min=0, help="Show at most this many errors of each rule.")] = 5,
) -> None:
    """Show what each rule of the codebook finds, how often it is right, and where it is wrong.

    A rule is a topic's `pattern` in params.yaml. The paragraphs are those of the last `dvc repro
    prepare`; the patterns are those of params.yaml as it is now.
    """
    from paratopic.labels.rules import find_by_rules

    project = read_project()
    refuse_former_topics(project)
    frame, topics = project.paragraphs, project.params.topics
    rules = find_by_rules(frame, topics, project.params.evaluate.confidence)
    if not rules:
        raise UserError(
            "the codebook has no rule: give a topic a `pattern` in params.yaml "
            "(topics.codebook), such as '\\btariffs?\\b'"
        )
    table = Table("topic", title=f"rules, on {plural(len(frame), 'paragraph')}")
    for column in ("finds", "with another", "right", "of", "precision"):
        table.add_column(column, justify="right")
    for rule in rules:
        cells = [rule.topic, f"{rule.covered:,}", f"{rule.overlaps:,}"]
        if rule.worth is not None and rule.worth["compared"]:
            worth = rule.worth
            cells += [str(worth["right"]), str(worth["compared"])]
            cells.append(f"{worth['trust']:.2f} ({worth['low']:.2f}–{worth['high']:.2f})")
        table.add_row(*cells)
    console = terminal(highlight=False)
    console.print(table)
    text_of = dict(zip(frame["id"], frame["text"], strict=True))
    for rule in rules:
        for id_, given in list(rule.wrong.items())[:n]:
            label = join_cell(given) or NO_TOPIC
            print(f"{rule.topic}, but {label} by hand: {id_} {first_words(text_of[id_])}")
    for rule in rules:
        if not rule.covered:
            print(f"note: the rule of {rule.topic} finds nothing")
        elif rule.covered == len(frame):
            print(f"note: the rule of {rule.topic} finds every paragraph, so it tells nothing")
        elif rule.worth is not None and not rule.worth["counts"]:
            print(
                f"note: the rule of {rule.topic} counts for nothing, because it is right no more "
                "often than by chance"
            )
