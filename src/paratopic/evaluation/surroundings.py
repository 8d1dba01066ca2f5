"""What a model reads around a paragraph, and what that gained, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Part of what stands around a paragraph (`inference.context.ContextWeights`) → its name.
NAMES = {
    "neighbours": "the paragraphs before and after it",
    "heading": "its heading",
    "title": "the title of its article",
}


def reads(context: Mapping[str, float]) -> str:
    """What is read around a paragraph.

    >>> reads({"neighbours": 0.6, "heading": 0.3, "title": 0.0})
    'reads each paragraph with the paragraphs before and after it (weight 0.6), its heading (0.3)'
    """
    parts = [f"{NAMES[name]} ({weight:g})" for name, weight in context.items() if weight]
    if not parts:
        return "reads each paragraph alone"
    return "reads each paragraph with " + ", ".join(parts).replace("(", "(weight ", 1)


def gained(context: Mapping[str, float], metrics: Mapping[str, Any]) -> str:
    """What reading it gained, from metrics.json; "" where nothing is read.

    Parameters
    ----------
    metrics
        Content of metrics.json.
    """
    if not any(context.values()):
        return ""
    if "context" not in metrics:
        return (
            "The gain was not measured: because the split is by paragraph, the figures are for "
            "paragraphs that are read alone."
        )
    gain = metrics["context"]["gain"]
    return (
        f"This changes the macro-F1 of the answers by {gain['value']:+.3f} ({gain['low']:+.3f} to "
        f"{gain['high']:+.3f}), compared with the same model on the paragraphs alone."
    )
