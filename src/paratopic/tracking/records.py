"""Records of the pipeline's state, built from the files in the current directory.

Params, reports and models become the content of MLflow runs, one per model and one for their
comparison. Nothing here writes to MLflow (`runs` does), and no figure is computed.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from paratopic.corpus.table import labelled_rows, read_paragraphs
from paratopic.project import files
from paratopic.project.params import Params
from paratopic.project.paths import COMPARISON, LOCK, MODELS, PARAGRAPHS, PARAMS, REPORTS, SUMMARY
from paratopic.tracking.runs import Dataset, Record


def state_of(lock: dict[str, Any], models: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Digest of the pipeline's state, and the hashes of its outputs.

    Parameters
    ----------
    lock
        Content of dvc.lock. What it holds for stage track itself, and for models that are not
        chosen, is left out.
    models
        Names of the chosen models.

    Returns
    -------
    16 hexadecimal digits, and path → md5 of each output.
    """
    stages = {
        name: stage
        for name, stage in lock["stages"].items()
        if name != "track" and ("@" not in name or name.partition("@")[2] in models)
    }
    text = json.dumps(stages, sort_keys=True, default=str)
    outputs = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    return hashlib.sha256(text.encode()).hexdigest()[:16], outputs


def git_tags() -> dict[str, str]:
    """Tags for the commit, and for whether the working tree differs from it."""
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None or changes is None:
        return {"git_commit": "unknown"}
    dirty = str(bool(changes)).lower()
    return {"git_commit": commit, "mlflow.source.git.commit": commit, "git_dirty": dirty}


def records(
    params: Params, tags: dict[str, str], outputs: dict[str, str], title: str
) -> tuple[Record, list[Record]]:
    """The records of the comparison and of each model, from the files in the current directory.

    Parameters
    ----------
    params
        The pipeline's params.
    tags
        Tags of every record.
    outputs
        Path → md5 of each output of the pipeline.
    title
        Second part of the runs' names, after "comparison" or the name of the model.
    """
    comparison = files.read_json(COMPARISON, "stage compare")
    tags = tags | {"split_unit": comparison["split_unit"], "champion": comparison["champion"]}
    rows = labelled_rows(read_paragraphs(PARAGRAPHS), params.topics)[["id", "text", "topic"]]
    dataset = (rows, "paragraphs", str(PARAGRAPHS), outputs[str(PARAGRAPHS)])
    flat = {key: _shown(value) for key, value in flatten(asdict(params)).items()}
    parent = Record(
        part="comparison",
        name=f"comparison {title}",
        params=flat,
        metrics=estimate_metrics(
            {name: measured["macro_f1"] for name, measured in comparison["models"].items()}
            | comparison["differences"]
        ),
        tags=tags | {"mlflow.note.content": SUMMARY.read_text(encoding="utf-8")},
        files=[(SUMMARY, ""), (COMPARISON, ""), (COMPARISON.with_suffix(".png"), ""), (LOCK, "")],
        dataset=dataset,
    )
    children = [
        _model_record(
            name,
            title,
            _params_of(name, flat),
            tags | {"model": name, "dvc.model": outputs[str(MODELS / name)]},
            dataset,
        )
        for name in params.models
    ]
    return parent, children


def estimate_metrics(report: dict[str, Any]) -> dict[str, float]:
    """The numbers of a report under short names.

    ``{"n": 3, "f1": {"value": 0.5, "low": 0.1}}`` → ``{"n": 3.0, "f1": 0.5, "f1.low": 0.1}``. The
    metrics of a topic, under ``topics``, end in its name: f1.trade, f1.trade.low, support.trade.
    """
    flat = flatten({key: value for key, value in report.items() if key != "topics"})
    for topic, measured in report.get("topics", {}).items():
        for metric, value in measured.items():
            flat |= flatten({f"{metric}.{topic}": value})
    return {
        name.removesuffix(".value"): float(value)
        for name, value in flat.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one.

    Examples
    --------
    >>> flatten({"f1": {"trade": 1}, "n": 2})
    {'f1.trade': 1, 'n': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def _model_record(
    name: str, title: str, params: dict[str, str], tags: dict[str, str], dataset: Dataset
) -> Record:
    """The record of one model, from its reports and its folder."""
    folder = REPORTS / name
    report = files.read_json(folder / "metrics.json", "stage evaluate")
    parity = files.read_json(folder / "parity.json", "stage train")
    reports = [path for path in sorted(folder.iterdir()) if path.suffix != ""]
    return Record(
        part=name,
        name=f"{name} {title}",
        params=params,
        metrics=estimate_metrics(report | {"parity": parity}),
        steps=_training_steps(folder),
        tags=tags | {"mlflow.note.content": report["notes"]},
        files=[*((path, "reports") for path in reports), (PARAMS, "")],
        model=MODELS / name,
        table=pd.read_csv(folder / "predictions.csv", keep_default_na=False),
        dataset=dataset,
    )


def _params_of(model: str, params: dict[str, str]) -> dict[str, str]:
    """The params that concern a model: all but the sections of the other models."""
    others = {"baseline", "transformer"} - {model}
    return {key: value for key, value in params.items() if key.partition(".")[0] not in others}


def _training_steps(folder: Path) -> dict[str, list[float]]:
    """The losses at each step, of the final training and the mean of the folds.

    Empty for a model that is not trained in steps: its first column has another name.
    """
    final = pd.read_csv(folder / "final.csv")
    x, y = final.columns
    if x != "step":
        return {}
    means = pd.read_csv(folder / "training.csv").groupby(x)[y].mean()
    return {y: list(final[y]), f"{y}.folds": list(means)}


def _git(*arguments: str) -> str | None:
    """What git prints; None without git or outside a repository."""
    try:
        run = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=asdict)
