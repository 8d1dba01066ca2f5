"""The command `paratopic report`: prints what stage compare wrote; nothing is computed here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.paths import COMPARISON, REPORTS, SUMMARY
from paratopic.project.titles import TITLES

# Metrics beside the first one, which are shown if a model has them.
METRICS = ("answer_accuracy", "coverage", "precision", "macro_f1", "micro_f1", "log_loss")

ACTIVATE = Path(".venv/bin/activate")

# Command or file → what it is for.
NEXT = {
    "paratopic predict FILE": "predict the topics of an article's paragraphs",
    "make ui": "compare the runs in MLflow",
    str(SUMMARY): "read what is significant, and what goes wrong",
}


def report() -> None:
    """Print the comparison of the models, and what to do next."""
    if not SUMMARY.exists():
        raise UserError(f"{SUMMARY} not found: run `make repro` in the project's root first")
    console = Console()
    comparison = files.read_json(COMPARISON, "`make repro`")
    people = comparison.get("annotators")
    console.print(_table(comparison, people))
    if people and people["alpha"] is not None:
        console.print(
            f"people: Krippendorff's alpha {people['alpha']:.3f}; their macro-F1 against each "
            "other is the ceiling of what a model can reach"
        )
    for note in comparison["notes"]:
        console.print(f"note: {note}")
    for names, difference in comparison["differences"].items():
        verdict = "significant" if difference["significant"] else "not significant"
        console.print(
            f"{names}: {difference['value']:+.3f} macro-F1, p = {difference['p']:.4f}, {verdict}"
        )
    console.print(f"champion: {comparison['champion']}: {comparison['reason']}")
    for name in comparison["models"]:
        path = REPORTS / name / "metrics.json"
        if path.exists():  # the dummy has none
            console.print(f"{name}: {_thresholds(files.read_json(path, '`make repro`'))}")
    console.print("Next:")
    steps = _next_steps()
    width = max(map(len, steps))
    for step, purpose in steps.items():
        console.print(f"  {step:<{width}}  {purpose}", highlight=False)


def _table(comparison: Mapping[str, Any], people: Mapping[str, Any] | None) -> Table:
    """A row for each model, and one for the people where two of them labelled the same."""
    models = comparison["models"]
    if not models:
        return Table("model", title="Out-of-fold")
    headline = next(iter(next(iter(models.values()))))
    others = [m for m in METRICS if m != headline and any(m in f for f in models.values())]
    titles = [TITLES[metric] for metric in (headline, *others)]
    table = Table("model", titles[0], "interval", *titles[1:], title="Out-of-fold")
    for name, scores in models.items():
        first, champion = scores[headline], name == comparison["champion"]
        interval = "" if first["low"] is None else f"{first['low']:.3f} to {first['high']:.3f}"
        table.add_row(
            f"{name} (champion)" if champion else name,
            f"{first['value']:.3f}",
            interval,
            *(f"{scores[m]['value']:.3f}" if m in scores else "" for m in others),
            style="bold" if champion else None,
        )
    if people and people["macro_f1"] is not None:
        name = f"people ({people['paragraphs']} paragraphs)"
        table.add_row(name, f"{people['macro_f1']:.3f}", style="italic")
    return table


def _thresholds(measured: Mapping[str, Any]) -> str:
    """What a model's thresholds do, from its metrics.json."""
    if "naming" in measured:
        numbers = measured["naming"]
        return (
            f"predicts {numbers['named_a_paragraph']:.2f} topics per paragraph, "
            f"people chose {numbers['topics_a_paragraph']:.2f}"
        )
    coverage = f"predicts a topic for {measured['coverage']['value']:.0%} of paragraphs (coverage)"
    if "precision" not in measured:
        return coverage
    sure = _sure(measured["abstention"]["sure"], measured["split_unit"])
    return f"{coverage}, {measured['precision']['value']:.0%} of them right; {sure}"


def _sure(numbers: Mapping[str, Any], unit: str) -> str:
    """What is promised of sure predictions; `unit` is what folds keep whole."""
    if numbers["threshold"] is None:
        return (
            f"none is sure: to promise {numbers['target']:.0%} takes at least "
            f"{numbers['groups_needed']} different {unit}s, all right"
        )
    return (
        f"{numbers['coverage']:.0%} of paragraphs have a sure one, of which at least "
        f"{numbers['target']:.0%} are promised to be right"
    )


def _next_steps() -> dict[str, str]:
    """`NEXT`, after the activation of the project's environment where the user has none active."""
    if ACTIVATE.exists() and not os.environ.get("VIRTUAL_ENV"):
        return {f"source {ACTIVATE}": "first, in every new terminal"} | NEXT
    return NEXT
