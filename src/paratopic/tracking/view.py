"""The page of MLflow's user interface that shows the models: its address and its columns.

MLflow opens other pages by itself, without metrics and for other kinds of models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

# The metrics to look at first.
MAIN_METRICS = ("macro_f1", "accuracy", "log_loss", "coverage", "answer_macro_f1")

# MLflow's tag for the description of a run, an experiment or a model.
DESCRIPTION = "mlflow.note.content"

# Experiment tag that holds the view which "Views" on the page of the runs offers as "Models".
VIEW = "paratopic"
_VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"

_COLUMNS = [
    "tags.`champion`",
    "metrics.`macro_f1`",
    "metrics.`macro_f1_low`",
    "metrics.`macro_f1_high`",
    *(f"metrics.`{name}`" for name in MAIN_METRICS[1:]),
    "attributes.`Models`",
    "attributes.`Source`",
    "attributes.`Dataset`",
]


_SECTION = "main"


def _chart(metric: str) -> dict[str, object]:
    """A bar for each run."""
    return {"uuid": metric, "type": "BAR", "metricKey": metric, "metricSectionId": _SECTION}


def experiment_tags() -> dict[str, str]:
    """Tags that describe the experiment to those who open it in MLflow."""
    state = {
        "selectedColumns": _COLUMNS,
        "columnOrder": _COLUMNS,
        "compareRunCharts": [_chart(metric) for metric in MAIN_METRICS],
        "compareRunSections": [{"uuid": _SECTION, "name": "Main metrics", "display": True}],
        "isAccordionReordered": True,
    }
    return {
        # Models and their metrics, not the traces of a chat bot.
        "mlflow.experimentKind": "custom_model_development",
        DESCRIPTION: "Models that predict the topics of paragraphs. Figures are out-of-fold; "
        "`_low` and `_high` are the ends of their intervals.",
        _VIEW_TAG: json.dumps({"name": "Models", "createdAt": 0, "state": json.dumps(state)}),
    }


def address(server: str, experiment_id: str, tags: Mapping[str, str]) -> str:
    """Address of the page that shows an experiment's runs.

    Parameters
    ----------
    server
        Address of an MLflow server.
    experiment_id
        Id of the experiment.
    tags
        Its tags. Without the view's tag the page has MLflow's own columns.
    """
    page = f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
    shared = f"&viewStateShareKey={VIEW}" if _VIEW_TAG in tags else ""
    return f"{page}?workflowType=machine_learning{shared}"
