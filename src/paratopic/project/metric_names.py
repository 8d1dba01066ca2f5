"""The metrics, with one entry for each: its name, its meaning and the places that show it.

`evaluation.metrics` has a function for each key. Lists have the order of the entries, and
models are compared by the first metric of a mode.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric over all topics. The report's page and the model card show all metrics.

    Parameters
    ----------
    key
        Key in metrics.json and comparison.json, and name in MLflow.
    title
        Name for people.
    meaning
        Description in a few words.
    modes
        Modes with this metric. Default: both.
    is_main
        Whether places with room for few metrics show it: `paratopic report`, columns and charts in
        MLflow, tags of registered models, and tables of DVC. Default: no.
    hub
        Name of the metric on a model hub, for the head of the card. Default: None, not in the head.
    """

    key: str
    title: str
    meaning: str
    modes: tuple[str, ...] = ("single", "multi")
    is_main: bool = False
    hub: str | None = None


SINGLE, MULTI = ("single",), ("multi",)
METRICS = (
    Metric(
        "answer_macro_f1",
        "macro-F1 of answers",
        "mean of the F1 of each topic and of none of the topics",
        SINGLE,
        is_main=True,
    ),
    Metric(
        "answer_accuracy",
        "accuracy of answers",
        "share of answers that are right; “no topic” also counts as an answer",
        SINGLE,
        is_main=True,
    ),
    Metric(
        "precision", "precision", "share of predicted topics that are right", SINGLE, is_main=True
    ),
    Metric(
        "recall",
        "recall",
        "of the paragraphs that have a topic, the share that gets it",
        SINGLE,
        is_main=True,
    ),
    Metric("coverage", "coverage", "share of paragraphs that get a topic", SINGLE, is_main=True),
    Metric(
        "macro_f1",
        "macro-F1, forced choice",
        "F1 averaged over the topics, on paragraphs that have one; every answer is a topic",
        SINGLE,
        is_main=True,
        hub="f1",
    ),
    Metric("macro_f1", "macro-F1", "F1 averaged over the topics", MULTI, is_main=True, hub="f1"),
    Metric("micro_f1", "micro-F1", "F1 of all topics counted together", MULTI, is_main=True),
    Metric(
        "map",
        "mean average precision",
        "how high a topic's paragraphs rank by its probability",
        MULTI,
        is_main=True,
    ),
    Metric(
        "accuracy",
        "accuracy, forced choice",
        "of the paragraphs that have a topic, the share whose most probable topic is right",
        SINGLE,
        hub="accuracy",
    ),
    Metric(
        "subset_accuracy",
        "subset accuracy",
        "share of paragraphs with all topics right",
        MULTI,
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
    """Key → metric, for the metrics of a mode.

    >>> list(metrics_in("multi"))[:3]
    ['macro_f1', 'micro_f1', 'map']
    """
    return {metric.key: metric for metric in METRICS if mode in metric.modes}
