"""What weak sources are worth, in words.

The figures are from prepare.json and comparison.json. Nothing is measured or learnt here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from paratopic.project.plurals import plural


def describe_beside(
    measured: Mapping[str, Mapping[str, Any]],
    champion: str,
    effort: Mapping[str, Mapping[str, float]],
) -> list[str]:
    """Say how good each source is beside the champion, and what 1,000 of its answers take.

    Parameters
    ----------
    measured
        Name of a source → `evaluation.sources.Beside`, as in comparison.json.
    champion
        Name of the model that it is beside.
    effort
        Name of a source → what 1,000 answers take, as in prepare.json.
    """
    lines = []
    for name, figures in measured.items():
        of_both = [
            f"{who} {part['value']:.3f} ({part['low']:.3f}–{part['high']:.3f})"
            for who, part in ((name, figures["source"]), (champion, figures["model"]))
        ]
        line = f"macro-F1 on the {figures['n']} paragraphs that {name} and people answered: "
        line += f"{', '.join(of_both)}, p = {figures['lead']['p']:.3f}"
        if taken := effort.get(name):
            line += f"; 1,000 answers of {name} take {taken['seconds']:,.0f} s"
            if "cost" in taken:
                line += f" and cost {taken['cost']:,.2f}"
        lines.append(line)
    return lines


def sources_that_label(prepared: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows of `weak.Sources.table` in prepare.json; none if no weak source labels any paragraph."""
    return list(prepared["weak"]) if "weak" in prepared["labelled_by"] else []


def describe_sources(worth: Iterable[Mapping[Any, Any]]) -> list[str]:
    """Say what each weak source is worth, in a line for each of them."""
    lines = []
    for name, rows in groupby(worth, key=lambda row: str(row["source"])):
        parts, unknown, worthless = [], 0, []
        for row in rows:
            if not row["counts"]:
                worthless.append(f"{row['topic']} ({_right(row)})")
            elif row["compared"]:
                parts.append(f"{row['topic']} {_right(row)}{_mistaken(row)}")
            else:
                unknown += 1
        if unknown:
            others = "other topics" if parts or worthless else "topics"
            parts.append(f"{plural(unknown, others[:-1], others)} without a label by hand")
        if worthless:
            parts.append(f"counts for nothing on {', '.join(worthless)}: no better than chance")
        lines.append(f"{name}: {', '.join(parts)}")
    return lines


def _right(row: Mapping[Any, Any]) -> str:
    """How often a source is right: "right in 34 of 41 (0.83, 0.69–0.92)"."""
    interval = f"{row['low']:.2f}–{row['high']:.2f}"
    return f"right in {row['right']} of {row['compared']} ({row['trust']:.2f}, {interval})"


def _mistaken(row: Mapping[Any, Any]) -> str:
    """What people gave instead, if it is one topic for at least half of the errors."""
    wrong = row["compared"] - row["right"]
    other, n = max(row["instead"].items(), key=lambda pair: pair[1], default=("", 0))
    return f", else mostly {other}" if n >= max(2, wrong / 2) else ""
