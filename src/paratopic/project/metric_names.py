"""The metrics, one entry each: what a metric is called, what it means and where it is shown.

How a metric is computed is for `evaluation.metrics`, which has a function for each key. The order
here is the order wherever metrics are listed; models are compared by the first that a report has.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric over all topics. The page and the card show every one.

    Parameters
    ----------
    key
        Key in metrics.json and comparison.json, and name in MLflow.
    meaning
        What it measures, in a few words.
    modes
        Modes that it is measured in. Default: both.
    is_main
        Whether it is shown where there is room for few: by `paratopic report`, in MLflow's columns
        and charts, as a tag of a registered model, and in DVC's tables. Default: no.
    hub
        Name of the metric on a model hub, for the head of the card. None, the default, leaves it
        out there.
    """

    key: str
    title: str
    meaning: str
    modes: tuple[str, ...] = ("single", "multi")
    is_main: bool = False
    hub: str | None = None


METRICS = (
    Metric(
        "answer_macro_f1",
        "macro-F1 of answers",
        "mean of the F1 of each topic and of none of the topics",
        ("single",),
        is_main=True,
    ),
    Metric(
        "answer_accuracy",
        "accuracy of answers",
        "share of answers that are right; “no topic” also counts as an answer",
        ("single",),
        is_main=True,
    ),
    Metric(
        "precision",
        "precision",
        "share of predicted topics that are right",
        ("single",),
        is_main=True,
    ),
    Metric(
        "recall",
        "recall",
        "of the paragraphs that have a topic, the share that gets it",
        ("single",),
        is_main=True,
    ),
    Metric(
        "coverage", "coverage", "share of paragraphs that get a topic", ("single",), is_main=True
    ),
    Metric(
        "macro_f1",
        "macro-F1, forced choice",
        "F1 averaged over the topics, on paragraphs that have one; every answer is a topic",
        ("single",),
        is_main=True,
        hub="f1",
    ),
    Metric(
        "macro_f1", "macro-F1", "F1 averaged over the topics", ("multi",), is_main=True, hub="f1"
    ),
    Metric("micro_f1", "micro-F1", "F1 of all topics counted together", ("multi",), is_main=True),
    Metric(
        "map",
        "mean average precision",
        "how high a topic's paragraphs rank by its probability",
        ("multi",),
        is_main=True,
    ),
    Metric(
        "accuracy",
        "accuracy, forced choice",
        "of the paragraphs that have a topic, the share whose most probable topic is right",
        ("single",),
        hub="accuracy",
    ),
    Metric(
        "subset_accuracy",
        "subset accuracy",
        "share of paragraphs with all topics right",
        ("multi",),
        is_main=True,
    ),
    Metric(
        "log_loss",
        "log loss",
        "mean penalty for low probabilities of the labels; lower is better",
        is_main=True,
    ),
    Metric("brier", "Brier score", "squared error of the probabilities; lower is better"),
    Metric(
        "ece", "expected calibration error", "gap between confidence and accuracy; lower is better"
    ),
)


def metrics_in(mode: str) -> dict[str, Metric]:
    """Key → metric, of the metrics that are measured in a mode.

    >>> list(metrics_in("multi"))[:3]
    ['macro_f1', 'micro_f1', 'map']
    """
    return {metric.key: metric for metric in METRICS if mode in metric.modes}
