"""The model card: the README of a model's folder, in the form that a model hub reads.

It says what the model predicts, what it learnt from, how good it was out-of-fold and what it is not
good for. The text is in card.md. Nothing is measured here: the figures come from the reports. The
card has no date, since the same labels have to give the same bytes on another day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from paratopic.corpus.table import targets_of
from paratopic.inference.calibration import Calibration
from paratopic.inference.prediction import Prediction
from paratopic.project.kinds import Kind
from paratopic.project.metrics import metrics_in
from paratopic.project.topics import ModeName, Topics

TEMPLATE = Path(__file__).with_name("card.md")
# Packages that a model of any kind was made with.
PACKAGES = ("paratopic", "numpy", "scipy", "scikit-learn")


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
        f"Predicts one of {len(topics.names)} topics for a paragraph, or none if no topic is more "
        "likely right than wrong. Probabilities are calibrated."
    )


def _any_topics(topics: Topics, calibration: Calibration) -> str:
    thresholds = np.broadcast_to(calibration.thresholds, len(topics.names))
    listed = [f"{name} {at:.2f}" for name, at in zip(topics.names, thresholds, strict=True)]
    return (
        f"Predicts any number of {len(topics.names)} topics for a paragraph: those that reach "
        f"their thresholds ({', '.join(listed)}). Probabilities are calibrated."
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


SENTENCES: Mapping[ModeName, ModeCard] = {
    "single": ModeCard(_one_topic, _coverage, "Paragraphs with one topic each."),
    "multi": ModeCard(_any_topics, _topics_per_paragraph, "Paragraphs."),
}


def example_text(topics: Topics) -> str:
    """A short text for the card's example: of the codebook, because others may be confidential.

    >>> example_text(Topics("single", ("trade", "security")))
    'trade'
    """
    topic = topics.topics[0]
    return shorten(topic.description or topic.name, 200, placeholder=" …")


@dataclass(frozen=True)
class Shipped:
    """The model that ships, as its card tells of it.

    Parameters
    ----------
    kind
        Kind of the model.
    calibration
        Calibration with the thresholds.
    answer
        What the model predicts for `example_text`.
    mark
        What says that the card is the model's: `inference.folder.card_mark`.
    n_unlabelled
        Number of paragraphs without a label that it learnt from.
    encoder
        Encoder that was fine-tuned: a model hub's id, or a local folder, which the card does not
        mention. None, the default, for a model without encoder.
    parity
        What `Fitted.save` returned; empty by default.
    notes
        What its training has to say of it; nothing by default.
    license
        License of the model. None, the default, where none is given.
    language
        Language of the texts that it learnt from, as a code such as ``"en"``. None, the default,
        where it is not known.
    """

    kind: Kind
    calibration: Calibration
    answer: Prediction
    mark: Mapping[str, str]
    n_unlabelled: int = 0
    encoder: str | None = None
    parity: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    license: str | None = None
    language: str | None = None


def render_card(
    model: Shipped, topics: Topics, rows: pd.DataFrame, report: Mapping[str, Any]
) -> str:
    """Write the card of a model.

    Parameters
    ----------
    model
        The model.
    topics
        The codebook.
    rows
        Labelled paragraphs that the model learnt from: columns article, topic and label_source.
    report
        Content of metrics.json.
    """
    mode = SENTENCES[topics.mode]
    card = ModelCard.from_template(
        _metadata(model, report),
        template_path=str(TEMPLATE),
        model=model,
        answers=mode.answers(topics, model.calibration),
        texts=mode.texts,
        topics=topics.topics,
        described=bool(topics.descriptions),
        **_training_data(rows, topics),
        report=report,
        figures=_figures(report) if report["n"] else {},
        effect=mode.effect(report) if report["n"] else "",
        example=repr(example_text(topics)),
        versions=_versions(model.kind),
        notes=[*filter(None, report["notes"].split(" · ")), *model.notes],
    )
    return f"{card}\n"


def _versions(kind: Kind) -> dict[str, str]:
    """Package → version that the model was made with; builds for one processor are not told."""
    packages = PACKAGES + kind.packages
    return {package: version(package).partition("+")[0] for package in packages}


def _metadata(model: Shipped, report: Mapping[str, Any]) -> ModelCardData:
    """The head of the card, which a hub reads."""
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type="paragraphs",
            dataset_name=f"{report['n']} labelled paragraphs, out-of-fold",
            metric_type=metric.hub,
            metric_name=metric.title,
            metric_value=report[key]["value"],
        )
        for key, metric in metrics_in(report["mode"]).items()
        if metric.hub is not None and key in report
    ]
    given: dict[str, Any] = {
        "language": model.language,
        "license": model.license,
        "base_model": model.encoder if model.encoder and not Path(model.encoder).is_dir() else None,
        "eval_results": results or None,
        "model_name": model.kind.name if results else None,
        **model.mark,
    }
    return ModelCardData(
        library_name="paratopic",
        pipeline_tag="text-classification",
        tags=["paratopic", "text-classification"],
        **{key: value for key, value in given.items() if value is not None},
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
    overall = metrics_in(report["mode"]).items()
    figures = {metric.title: report[key] for key, metric in overall if key in report}
    return figures | {
        f"F1 of {topic} (n = {measured['support']})": measured["f1"]
        for topic, measured in report["topics"].items()
        if measured["support"]
    }
