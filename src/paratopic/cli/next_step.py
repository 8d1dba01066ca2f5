"""Where a project stands and what to do next: the one answer of all commands that give it."""

from __future__ import annotations

from collections.abc import Mapping

from paratopic.cli.project import Project, champion_name, changes_since
from paratopic.evaluation.estimates import LEAST_LABELS
from paratopic.project.terminal import terminal

# How many paragraphs a first random sample has: three times what shares need at least.
SAMPLE = 3 * LEAST_LABELS
DRAW, RUN = f"paratopic label --random --n {SAMPLE}", "dvc repro"
TRAIN = {RUN: "train the models and measure them"}
LABEL = {DRAW: "label a random sample: shares and honest figures need one"}


def next_steps(project: Project) -> dict[str, str]:
    """Command → what it is for, in the order in which they are to be run."""
    unlabelled = project.paragraphs["label_source"] == "none"
    can_draw = bool((unlabelled & ~project.paragraphs["boilerplate"]).any())
    steps = {}
    if project.tied:
        steps["paratopic review --out ties.csv"] = "list the ties, and write a sheet to settle them"
    champion = champion_name()
    if not project.labelled.by_hand.any() and can_draw:
        # What prepare has not read yet may be all that there is.
        return steps | TRAIN if project.current.answers else steps | LABEL | TRAIN
    if not champion or changes_since(project.params, champion):
        steps |= TRAIN
    if project.sample["drawn"] < LEAST_LABELS and can_draw:
        steps |= LABEL
    elif champion:  # of what is labelled as a whole, they are a count
        steps["paratopic shares"] = "estimate the shares of the topics"
    if can_draw and champion:
        steps["paratopic label"] = "label the paragraphs that teach the models most"
    elif not can_draw:
        paths = ", ".join(project.params.prepare.paths)
        steps["dvc repro prepare"] = f"read more texts, once you have added some to {paths}"
    return steps


def print_steps(steps: Mapping[str, str]) -> None:
    """Print commands and what they are for."""
    console, width = terminal(), max(map(len, steps))
    console.print("Next:")
    for step, purpose in steps.items():
        console.print(f"  {step:<{width}}  {purpose}", highlight=False, soft_wrap=True)
