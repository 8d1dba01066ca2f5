"""The model card: the README of a model's folder, in the form that a model hub reads.

It says what the model answers, what it learnt from, how good that was out-of-fold, and what it is
not good for. Nothing is measured here: figures come from the reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from paratopic.corpus.table import targets_of
from paratopic.inference.folder import Calibration
from paratopic.project.topics import Topics

FILE = "README.md"

SHOWN = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "map": "mean average precision",
    "accuracy": "accuracy",
    "subset_accuracy": "subset accuracy (all topics right)",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "expected calibration error",
}

# What a hub calls the figures that it lists.
METRICS = {"macro_f1": "f1", "accuracy": "accuracy"}

USE = """\
```python
from paratopic import load

model = load("this/folder")
print(model.predict("The ministry raised tariffs on imported steel."))
```

`pip install paratopic` is enough; the folder is complete and holds no code and no pickle."""

EMBED = """
`SentenceTransformer("this/folder")` of sentence-transformers opens the fine-tuned encoder."""


def text(
    kind: str,
    encoder: str | None,
    topics: Topics,
    calibration: Calibration,
    rows: pd.DataFrame,
    report: Mapping[str, Any],
    parity: Mapping[str, float],
) -> str:
    """The card of a model.

    Parameters
    ----------
    kind
        ``"baseline"`` or ``"transformer"``.
    encoder
        What was fine-tuned: a model hub's id, or a local folder, which is not told; None for none.
    topics
        The codebook.
    calibration
        The thresholds from which on topics are named.
    rows
        Labelled paragraphs that the model learnt from: article, topic and label_source.
    report
        The contents of metrics.json.
    parity
        What `Fitted.save` returned.
    """
    metadata = _metadata(kind, encoder, report).to_yaml()
    parts = [
        f"---\n{metadata}\n---",
        f"# Topics of paragraphs: {kind}",
        _answers(topics, calibration),
        _topics(topics, rows),
        _data(rows),
        _figures(report, parity),
        _limits(topics, report),
        "## How to use\n\n" + USE + (EMBED if encoder else ""),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(kind: str, encoder: str | None, report: Mapping[str, Any]) -> ModelCardData:
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type="paragraphs",
            dataset_name=f"{report['n']} labelled paragraphs, out-of-fold",
            metric_type=metric,
            metric_name=SHOWN[name],
            metric_value=report[name]["value"],
        )
        for name, metric in METRICS.items()
        if name in report
    ]
    told: dict[str, Any] = {"eval_results": results, "model_name": kind} if results else {}
    if encoder is not None and not Path(encoder).is_dir():
        told["base_model"] = encoder
    return ModelCardData(
        language="en",
        library_name="sentence-transformers" if encoder else "paratopic",
        pipeline_tag="text-classification",
        tags=["paratopic", "text-classification"],
        **told,
    )


def _answers(topics: Topics, calibration: Calibration) -> str:
    if topics.mode == "single":
        return (
            f"Gives a paragraph of English news one of {len(topics.names)} topics, with calibrated "
            f"probabilities, or none where the most probable one has less than "
            f"{calibration.thresholds[0]:.2f}."
        )
    limits = np.broadcast_to(calibration.thresholds, len(topics.names))
    told = ", ".join(f"{name} {at:.2f}" for name, at in zip(topics.names, limits, strict=True))
    return (
        f"Gives a paragraph of English news any number of {len(topics.names)} topics, with "
        f"calibrated probabilities: those that have at least theirs of {told}."
    )


def _topics(topics: Topics, rows: pd.DataFrame) -> str:
    has = targets_of(rows, topics.names).sum(axis=0)
    counts = dict(zip(topics.names, has.tolist(), strict=True))
    lines = ["## Topics", "", "| topic | labelled paragraphs | definition |", "|---|---|---|"]
    for topic in topics.topics:
        cell = " ".join(topic.definition.split()).replace("|", "\\|")
        lines.append(f"| {topic.name} | {counts[topic.name]} | {cell} |")
    return "\n".join(lines)


def _data(rows: pd.DataFrame) -> str:
    sources = rows["label_source"].value_counts()
    told = " and ".join(f"{sources[s]} by {s}" for s in ("hand", "heading") if s in sources)
    none = int((rows["topic"] == "").sum())
    if rows.empty:
        return "## Training data\n\nNo labelled paragraph: the topics' definitions alone."
    n = rows["article"].nunique()
    return (
        f"## Training data\n\n{len(rows)} labelled paragraphs ({told}) of "
        f"{n} article{'' if n == 1 else 's'}; {none} of them have none of the topics, which "
        "teaches what has none. Topics' definitions are part of what the model knows."
    )


def _figures(report: Mapping[str, Any], parity: Mapping[str, float]) -> str:
    if not report["n"]:
        return f"## Figures\n\nNothing was measured: {report['notes']}."
    lines = [
        "## Figures",
        "",
        f"On {report['n']} paragraphs labelled by {report['labels']}, out-of-fold: each was scored "
        "by models that had not seen it, and the model in this folder learnt from all of them. "
        f"Folds were split by {report['split_unit']}.",
        "",
        f"| | value | {report['confidence']:.0%} interval |",
        "|---|---|---|",
    ]
    shown = {title: report[name] for name, title in SHOWN.items() if name in report}
    shown |= {
        f"F1 of {topic} (n = {values['support']})": values["f1"]
        for topic, values in report["topics"].items()
    }
    for title, e in shown.items():
        lines.append(f"| {title} | {e['value']:.3f} | {e['low']:.3f} to {e['high']:.3f} |")
    lines += ["", _named(report)]
    if parity:
        form = "8-bit" if parity["int8_used"] else "full"
        lines += [
            "",
            f"What predicts is the {form} ONNX graph; the full one's probabilities are within "
            f"{parity['full_gap']:.0e} of the trained network's, the 8-bit one's within "
            f"{parity['int8_gap']:.2f}, with the same topic for {parity['int8_same']:.1%} of the "
            "windows compared.",
        ]
    return "\n".join(lines)


def _named(report: Mapping[str, Any]) -> str:
    if "naming" in report:
        naming = report["naming"]
        return (
            f"{naming['named_a_paragraph']:.2f} topics a paragraph were named; people named "
            f"{naming['topics_a_paragraph']:.2f}."
        )
    silent = report["abstention"]
    right = "" if silent["precision"] is None else f", and {silent['precision']:.0%} of these right"
    return (
        f"A topic was named for {silent['coverage']:.0%} of the paragraphs{right} "
        f"({silent['target']:.0%} were asked for)."
    )


def _limits(topics: Topics, report: Mapping[str, Any]) -> str:
    one = "; one topic a paragraph" if topics.mode == "single" else ""
    lines = [
        f"- English paragraphs of news{one}.",
        "- Text of another kind or time than the training data may be answered worse than the "
        "figures say.",
    ]
    lines += [f"- {note}" for note in report["notes"].split(" · ") if note]
    return "## Limits\n\n" + "\n".join(lines)
