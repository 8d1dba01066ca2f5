"""The model card: the README of a model's folder, in the form that a model hub reads.

It says what the model predicts, what it learnt from, how good it was out-of-fold and what it is not
good for. The text is in card.md. Nothing is measured here: the figures come from the reports. The
card has no date, since the same labels have to give the same bytes on another day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from paratopic.corpus.table import targets_of
from paratopic.inference.folder import Calibration
from paratopic.inference.prediction import Prediction
from paratopic.project.titles import TITLES
from paratopic.project.topics import ModeName, Topics

TEMPLATE = Path(__file__).with_name("card.md")
# Metrics that a hub lists: key → the hub's name.
HUB_METRICS = {"macro_f1": "f1", "accuracy": "accuracy"}
# Packages that a model was made with, and those that one with an encoder was made with, too.
PACKAGES = ("paratopic", "numpy", "scipy", "scikit-learn")
ENCODER_PACKAGES = ("torch", "transformers", "sentence-transformers", "onnx", "onnxruntime")


@dataclass(frozen=True)
class ModeCard:
    """Sentences of the card that depend on the mode.

    Parameters
    ----------
    answers
        What the model predicts, from the codebook and the thresholds.
    effect
        What the thresholds do, from metrics.json.
    texts
        What texts the model is for.
    """

    answers: Callable[[Topics, Calibration], str]
    effect: Callable[[Mapping[str, Any]], str]
    texts: str


def _one_topic(topics: Topics, calibration: Calibration) -> str:
    return (
        f"Predicts one of {len(topics.names)} topics for a paragraph of English news, or none if "
        "no topic is more likely right than wrong. Probabilities are calibrated."
    )


def _any_topics(topics: Topics, calibration: Calibration) -> str:
    thresholds = np.broadcast_to(calibration.thresholds, len(topics.names))
    listed = [f"{name} {at:.2f}" for name, at in zip(topics.names, thresholds, strict=True)]
    return (
        f"Predicts any number of {len(topics.names)} topics for a paragraph of English news: those "
        f"that reach their thresholds ({', '.join(listed)}). Probabilities are calibrated."
    )


def _coverage(report: Mapping[str, Any]) -> str:
    sure = report["abstention"]["sure"]
    right = ""
    if "precision" in report:
        right = f", and {report['precision']['value']:.0%} of these predictions were right"
    covered = report["coverage"]["value"]
    sentence = f"A topic was predicted for {covered:.0%} of the paragraphs (coverage){right}."
    if sure["threshold"] is None:
        return (
            f"{sentence} The labels are too few to promise that {sure['target']:.0%} of any "
            "predictions are right: none is called sure."
        )
    return (
        f"{sentence} Predictions with a probability of at least {sure['threshold']:.2f} are called "
        f"sure ({sure['coverage']:.0%} of the paragraphs): of them at least {sure['target']:.0%} "
        "are promised to be right."
    )


def _topics_per_paragraph(report: Mapping[str, Any]) -> str:
    effect = report["naming"]
    return (
        f"The model predicted {effect['named_a_paragraph']:.2f} topics per paragraph; people chose "
        f"{effect['topics_a_paragraph']:.2f}."
    )


MODES: Mapping[ModeName, ModeCard] = {
    "single": ModeCard(_one_topic, _coverage, "Paragraphs of English news, with one topic each."),
    "multi": ModeCard(_any_topics, _topics_per_paragraph, "Paragraphs of English news."),
}


def example_text(topics: Topics) -> str:
    """A short text for the card's example: of the codebook, because others may be confidential.

    >>> example_text(Topics("single", ("trade", "security")))
    'trade'
    """
    topic = topics.topics[0]
    return shorten(topic.description or topic.name, 200, placeholder=" …")


def render(
    kind: str,
    encoder: str | None,
    topics: Topics,
    calibration: Calibration,
    rows: pd.DataFrame,
    n_unlabelled: int,
    report: Mapping[str, Any],
    parity: Mapping[str, float],
    license: str | None,
    answer: Prediction,
) -> str:
    """Write the card of a model.

    Parameters
    ----------
    kind
        ``"baseline"`` or ``"transformer"``.
    encoder
        Encoder that was fine-tuned: a model hub's id, or a local folder, which the card does not
        mention; None for a model without encoder.
    topics
        The codebook.
    calibration
        Calibration with the thresholds.
    rows
        Labelled paragraphs that the model learnt from: columns article, topic and label_source.
    n_unlabelled
        Number of paragraphs without a label that it learnt from.
    report
        Content of metrics.json.
    parity
        What `Fitted.save` returned.
    license
        License of the model; None where none is given.
    answer
        What the model predicts for `example_text`.
    """
    mode = MODES[topics.mode]
    card = ModelCard.from_template(
        _metadata(kind, encoder, report, license),
        template_path=str(TEMPLATE),
        kind=kind,
        encoder=encoder,
        answers=mode.answers(topics, calibration),
        texts=mode.texts,
        topics=topics.topics,
        described=bool(topics.descriptions),
        n_unlabelled=n_unlabelled,
        **_training_data(rows, topics),
        report=report,
        figures=_figures(report) if report["n"] else {},
        effect=mode.effect(report) if report["n"] else "",
        parity=parity,
        example=repr(example_text(topics)),
        answer=answer,
        versions=_versions(encoder),
        notes=[note for note in report["notes"].split(" · ") if note],
    )
    return f"{card}\n"


def _versions(encoder: str | None) -> dict[str, str]:
    """Package → version that the model was made with; builds for one processor are not told."""
    packages = PACKAGES + (ENCODER_PACKAGES if encoder else ())
    return {package: version(package).partition("+")[0] for package in packages}


def _metadata(
    kind: str, encoder: str | None, report: Mapping[str, Any], license: str | None
) -> ModelCardData:
    """The head of the card, which a hub reads."""
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type="paragraphs",
            dataset_name=f"{report['n']} labelled paragraphs, out-of-fold",
            metric_type=hub_name,
            metric_name=TITLES[name],
            metric_value=report[name]["value"],
        )
        for name, hub_name in HUB_METRICS.items()
        if name in report
    ]
    optional: dict[str, Any] = {"eval_results": results, "model_name": kind} if results else {}
    if encoder is not None and not Path(encoder).is_dir():
        optional["base_model"] = encoder
    if license is not None:
        optional["license"] = license
    return ModelCardData(
        language="en",
        library_name="paratopic",
        pipeline_tag="text-classification",
        tags=["paratopic", "text-classification"],
        **optional,
    )


def _training_data(rows: pd.DataFrame, topics: Topics) -> dict[str, Any]:
    """Counts of labelled paragraphs, for the template."""
    has = targets_of(rows, topics.names).sum(axis=0)
    by = rows["label_source"].value_counts()
    return {
        "counts": dict(zip(topics.names, has.tolist(), strict=True)),
        "n_rows": len(rows),
        "sources": " and ".join(f"{by[s]} by {s}" for s in ("hand", "heading") if s in by),
        "n_articles": rows["article"].nunique(),
        "n_none": int((rows["topic"].str.len() == 0).sum()),
    }


def _figures(report: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    """Title → estimate: the metrics over all topics, then F1 of each topic that was measured."""
    figures = {title: report[name] for name, title in TITLES.items() if name in report}
    return figures | {
        f"F1 of {topic} (n = {measured['support']})": measured["f1"]
        for topic, measured in report["topics"].items()
        if measured["support"]
    }
