"""`paratopic report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from paratopic.project import files
from paratopic.project.errors import UserError


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
