"""Records of the models of a project: the content of their MLflow runs.

A record combines the params, reports and folder of a model. `runs` writes records to MLflow.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paratopic.corpus.labelled import read_labelled
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.model_report import Metrics
from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.project.reports import read_times
from paratopic.project.topics import join_cell
from paratopic.tracking.runs import Record, mlflow_dataset

if TYPE_CHECKING:
    from mlflow.data.pandas_dataset import PandasDataset

# MLflow refuses these characters in the name of a metric. It accepts the slash, but would group
# metrics by the part before it.
_INVALID = re.compile(r"[^\w\-. :]")

# Keys of metrics.json that become tags: the size and kind of the sample of a run's metrics.
SAMPLE_KEYS = ("n", "labels", "split_unit")
# Keys of metrics.json with the metrics of each topic.
TOPIC_METRICS = ("f1", "precision", "recall")


class Outputs(dict[str, str]):
    """Path → md5 of each output of the pipeline; a missing path raises a `UserError`."""

    def __missing__(self, path: str) -> str:
        raise UserError(f"{Paths().lock} lists no {path}: run `dvc repro` first")


def pipeline_outputs(lock: Mapping[str, Any]) -> Outputs:
    """Outputs that dvc.lock lists."""
    stages = lock["stages"].values()
    return Outputs((out["path"], out["md5"]) for stage in stages for out in stage.get("outs", ()))


def state_of(outputs: Mapping[str, str], name: str) -> str:
    """Digest of a model, its metrics and its card, from their md5s in `outputs`: 16 hex digits.

    It does not depend on other models, nor on params that have no effect on this one.
    """
    model, reports = Paths().models / name, Paths().model_reports / name  # as dvc.lock has them
    paths = model, reports / "metrics.json", reports / files.MODEL_CARD
    # The last item is a version of the format of models in MLflow; a change logs all models again.
    own = [*(outputs[str(path)] for path in paths), "columns"]
    return hashlib.sha256(" ".join(own).encode()).hexdigest()[:16]


def git_tags(root: Path) -> dict[str, str]:
    """Tags git_commit, git_dirty ("true" or "false"), mlflow.source.git.commit and mlflow.user.

    The pipeline writes dvc.lock and reports/ itself, so changes of these are ignored. Without git
    or a commit, the only tag is git_commit, "unknown". Without user.name, mlflow.user is missing.
    """
    paths = Paths()
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(
        root, "status", "--porcelain", "--", ".", f":!{paths.lock}", f":!{paths.reports}"
    )
    if not commit or changes is None:
        return {"git_commit": "unknown"}
    user = _git(root, "config", "user.name")
    tags = {
        "git_commit": commit,
        "git_dirty": str(bool(changes)).lower(),
        "mlflow.source.git.commit": commit,
    }
    if user:
        tags["mlflow.user"] = user
    return tags


def title_of(tags: Mapping[str, str]) -> str | None:
    """Suffix of the names of runs: the DVC experiment, else the commit, else None.

    >>> title_of({"git_commit": "0123456789", "git_dirty": "true"})
    '0123456-dirty'
    """
    if "dvc_exp" in tags or "git_dirty" not in tags:
        return tags.get("dvc_exp")
    return tags["git_commit"][:7] + ("-dirty" if tags["git_dirty"] == "true" else "")


def records(project: Project, outputs: Mapping[str, str], experiment: str | None) -> list[Record]:
    """Make a record of each model in params.yaml, in that order, from the files of a project.

    `outputs` are those of `pipeline_outputs`. `experiment` is the name of the DVC experiment that
    made the files, or None. A missing file or output is a `UserError`.
    """
    params, paths = project.params, project.paths
    comparison = Comparison.load(paths.comparison, "stage compare")
    tags = git_tags(paths.root) | {
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.type": "LOCAL",
        "topics": ", ".join(params.topics.names),
        "mode": params.topics.mode,
    }
    if experiment:
        tags["dvc_exp"] = experiment
    rows = read_labelled(paths, params.topics).rows[["id", "text", "topic"]]
    rows = rows.assign(topic=rows["topic"].map(join_cell))
    md5s = outputs[paths.name(paths.paragraphs)] + outputs[paths.name(paths.labels)]
    digest = hashlib.sha256(md5s.encode()).hexdigest()[:32]
    dataset = mlflow_dataset(rows, paths.paragraphs.stem, paths.paragraphs, digest)
    return [_record(name, project, outputs, tags, comparison, dataset) for name in params.models]


def mlflow_metrics(report: Metrics) -> dict[str, float]:
    """Convert a model's report to metrics of MLflow, the figures of `Metrics.main` first.

    ``log_loss`` with its interval becomes ``log_loss``, ``log_loss_low`` and ``log_loss_high``. The
    metrics of the topic trade become ``f1_trade``, ``precision_trade`` and ``recall_trade``, with
    "_" for signs that MLflow refuses. Topics that no measured paragraph has are left out, and
    values that are None.
    """
    values: dict[str, float | None] = {**report.main}
    for key, estimate in report.figures.items():
        values |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    for topic, measured in report.topics.items():
        if measured.support:
            name = _INVALID.sub("_", topic)
            values |= {f"{key}_{name}": getattr(measured, key).value for key in TOPIC_METRICS}
    return {name: value for name, value in values.items() if value is not None}


def _record(
    name: str,
    project: Project,
    outputs: Mapping[str, str],
    tags: Mapping[str, str],
    comparison: Comparison,
    dataset: PandasDataset,
) -> Record:
    """Make the record of the model `name` from its reports; one that is missing is a `UserError`.

    All models share the `tags`, the `comparison` and the `dataset`, the labelled paragraphs.
    """
    paths, state = project.paths, state_of(outputs, name)
    folder, model = paths.model_reports / name, paths.models / name
    predictions, champion = folder / "predictions.csv", comparison.champion
    verdict = f"The champion is the {champion}: {comparison.reason}."
    report = Metrics.load(folder / "metrics.json", "stage evaluate")
    reports = sorted(folder.glob("[!.]*.*"))
    own_files = filter(Path.exists, (paths.params, paths.codebook, paths.lock))
    sample_tags = {k: str(getattr(report, k)) for k in SAMPLE_KEYS if k in report.model_fields_set}
    with files.checked_read("stage card", folder / files.MODEL_CARD):
        card = (folder / files.MODEL_CARD).read_text(encoding="utf-8")
    own_outputs = map(paths.name, (model, paths.scores / name))
    digests = {f"dvc.{path}": outputs[path] for path in own_outputs}
    return Record(
        part=name,
        state=state,
        name=f"{name} · {title_of(tags) or state[:7]}",
        params=_settings(name, project),
        metrics=mlflow_metrics(report),
        main=[*report.main],
        seconds=_seconds_of_training(paths, name),
        steps=_training_steps(folder),
        tags={**tags, **sample_tags, **digests, "model": name},
        files=[*((path, "reports") for path in reports), *((path, "") for path in own_files)],
        model=model,
        card=card,
        dataset=dataset,
        predictions=mlflow_dataset(
            files.read_csv(predictions, "stage evaluate", keep_default_na=False),
            f"{name} {predictions.stem}",
            predictions,
            outputs[paths.name(predictions)],
            targets="label",
            predictions="answer",
        ),
        compared=outputs[paths.name(paths.comparison)],
        champion=champion,
        verdict="\n\n".join([verdict, *report.notes]),
        comparison=(paths.page, paths.comparison, paths.picture),
    )


def _settings(name: str, project: Project) -> dict[str, str]:
    """Settings of one model: algorithm (its name), seed, and "NAME.KEY" → a value, str or JSON.

    Plots in MLflow begin with the first setting that differs.
    """
    own = {
        f"{name}.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in asdict(project.fit_params.section(name)).items()
    }
    return {"algorithm": name, "seed": str(project.params.seed)} | own


def _training_steps(folder: Path) -> dict[str, list[float]]:
    """Losses at each step: "training/loss" of the final fit, and the mean over the fits to folds.

    The key of the mean is "training/loss_of_folds". The result is empty for a model that is not
    trained in steps: the first column of final.csv is then not "step".
    """
    final = files.read_csv(folder / "final.csv", "stage train")
    x, y = final.columns
    if x != "step":
        return {}
    folds = files.read_csv(folder / "training.csv", "stage evaluate")
    means = folds.groupby(x)[y].mean()
    return {f"training/{y}": list(final[y]), f"training/{y}_of_folds": list(means)}


def _seconds_of_training(paths: Paths, name: str) -> float:
    """Seconds of the final fit; 0 if they are unknown, as for a fit on another machine."""
    last, folder = read_times(paths.times).get(f"train@{name}"), paths.final_fits / name
    if last and folder.exists() and last.fit == files.folder_digest(folder):
        return last.seconds
    return 0.0


def _git(root: Path, *arguments: str) -> str | None:
    """Run git in a folder and return its output, stripped; None if git is missing or fails."""
    command = ["git", *arguments]
    try:
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        return run.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
