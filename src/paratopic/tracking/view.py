"""The page of MLflow's user interface that shows the models: its address and its columns.

MLflow opens other pages by itself, without metrics and for other kinds of models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from paratopic.project.metrics import metrics_in

# MLflow's tag for the description of a run, an experiment or a model.
DESCRIPTION = "mlflow.note.content"

# Experiment tag that holds the view which "Views" on the page of the runs offers as "Models".
VIEW = "paratopic"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"

_SECTION = "main"


def main_metrics(mode: str) -> list[str]:
    """Names in MLflow of the metrics to look at first, with the interval of the headline.

    >>> main_metrics("multi")[:4]
    ['macro_f1', 'macro_f1_low', 'macro_f1_high', 'micro_f1']
    """
    first, *others = (key for key, metric in metrics_in(mode).items() if metric.is_main)
    return [first, f"{first}_low", f"{first}_high", *others]


def experiment_tags(of_run: Mapping[str, str]) -> dict[str, str]:
    """Tags that describe the experiment to those who open it, from the tags of one of its runs."""
    metrics = main_metrics(of_run["mode"])
    # In pixels. By default names are cut, and those with the same beginning look the same. Both
    # ends of the interval have room on a screen of 1,500, beside MLflow's assistant.
    columns = ["tags.`champion`", *(f"metrics.`{name}`" for name in metrics)]
    widths = {name: 20 + 7 * len(name.split("`")[1]) for name in columns}
    columns += ["attributes.`Models`", "attributes.`Source`", "attributes.`Dataset`"]
    state = {
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": widths,
        "compareRunCharts": [
            {"uuid": name, "type": "BAR", "metricKey": name, "metricSectionId": _SECTION}
            for name in metrics
            if name in metrics_in(of_run["mode"])
        ],
        "compareRunSections": [{"uuid": _SECTION, "name": "Main metrics", "display": True}],
        "isAccordionReordered": True,
    }
    return {
        # Models and their metrics, not the traces of a chat bot.
        "mlflow.experimentKind": "custom_model_development",
        DESCRIPTION: "Models that predict the topics of paragraphs. Figures are out-of-fold; "
        "`_low` and `_high` are the ends of their intervals.",
        VIEW_TAG: json.dumps({"name": "Models", "createdAt": 0, "state": json.dumps(state)}),
    }


def address(server: str, experiment_id: str, tags: Mapping[str, str]) -> str:
    """Address of the page of an experiment's runs; without the view's tag, as MLflow has it."""
    page = f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
    shared = f"&viewStateShareKey={VIEW}" if VIEW_TAG in tags else ""
    return f"{page}?workflowType=machine_learning{shared}"
