"""Records of the models of a project: the content of their MLflow runs.

Params, reports and models become one record per model. Nothing here writes to MLflow (`runs`
does), and no figure is computed.
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
from paratopic.tracking.runs import Record, described

if TYPE_CHECKING:
    from mlflow.data.pandas_dataset import PandasDataset

# Characters that MLflow refuses in the name of a metric, and the slash: what comes before it is the
# heading of a group of metrics.
_REFUSED = re.compile(r"[^\w\-. :]")

# What a run's figures rest on, from metrics.json, as tags.
BASIS = ("n", "labels", "split_unit")
# Metrics of each topic, from metrics.json.
OF_TOPIC = ("f1", "precision", "recall")


class Outputs(dict[str, str]):
    """Path → md5 of each output of the pipeline; a UserError says that there is none."""

    def __missing__(self, path: str) -> str:
        raise UserError(f"{Paths().lock} lists no {path}: run `dvc repro` first")


def outputs_of(lock: Mapping[str, Any]) -> Outputs:
    """Outputs that dvc.lock lists."""
    stages = lock["stages"].values()
    return Outputs((out["path"], out["md5"]) for stage in stages for out in stage.get("outs", ()))


def state_of(outputs: Mapping[str, str], name: str) -> str:
    """Digest of a model, its metrics and its card: 16 hexadecimal digits.

    States of the pipeline that differ only in the other model, or in params that changed nothing,
    share it.
    """
    model, reports = Paths().models / name, Paths().model_reports / name  # as dvc.lock has them
    paths = model, reports / "metrics.json", reports / files.MODEL_CARD
    # The last is the input of the model in MLflow: one that was logged with another is logged anew.
    own = [*(outputs[str(path)] for path in paths), "columns"]
    return hashlib.sha256(" ".join(own).encode()).hexdigest()[:16]


def git_tags(root: Path) -> dict[str, str]:
    """Tags for the commit, for whether files differ from it, and for who runs the pipeline.

    What the pipeline itself writes, dvc.lock and reports/, is not looked at.
    """
    paths = Paths()
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(
        root, "status", "--porcelain", "--", ".", f":!{paths.lock}", f":!{paths.reports}"
    )
    if not commit or changes is None:
        return {"git_commit": "unknown"}
    user = _git(root, "config", "user.name")
    return {
        "git_commit": commit,
        "git_dirty": str(bool(changes)).lower(),
        "mlflow.source.git.commit": commit,
    } | ({"mlflow.user": user} if user else {})


def title_of(tags: Mapping[str, str]) -> str | None:
    """What the names of runs end in: the experiment, else the commit, else nothing.

    >>> title_of({"git_commit": "0123456789", "git_dirty": "true"})
    '0123456-dirty'
    """
    if "dvc_exp" in tags or "git_dirty" not in tags:
        return tags.get("dvc_exp")
    return tags["git_commit"][:7] + ("-dirty" if tags["git_dirty"] == "true" else "")


def records(project: Project, outputs: Mapping[str, str], experiment: str | None) -> list[Record]:
    """The record of each chosen model, from the files of a project.

    Parameters
    ----------
    experiment
        Name of the DVC experiment that the files belong to, if any.
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
    both = "".join(outputs[paths.name(path)] for path in (paths.paragraphs, paths.labels))
    digest = hashlib.sha256(both.encode()).hexdigest()[:32]
    dataset = described(rows, paths.paragraphs.stem, paths.paragraphs, digest)
    return [_record(name, project, outputs, tags, comparison, dataset) for name in params.models]


def metrics_of(report: Metrics) -> dict[str, float]:
    """The estimates of a report under the names that they have in MLflow, the main ones first.

    An estimate ``log_loss`` with its interval becomes log_loss, log_loss_low and log_loss_high; the
    figures of a topic become f1_trade, precision_trade and recall_trade. Bounds that are None are
    left out, and so are other numbers, which do not measure the model.
    """
    values: dict[str, float | None] = {**report.main}
    for key, estimate in report.figures.items():
        values |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    for topic, measured in report.topics.items():
        if measured.support:
            name = _REFUSED.sub("_", topic)
            values |= {f"{key}_{name}": getattr(measured, key).value for key in OF_TOPIC}
    return {name: value for name, value in values.items() if value is not None}


def _record(
    name: str,
    project: Project,
    outputs: Mapping[str, str],
    tags: Mapping[str, str],
    comparison: Comparison,
    dataset: PandasDataset,
) -> Record:
    """The record of one model, from its reports and its folder."""
    paths, state = project.paths, state_of(outputs, name)
    folder = paths.model_reports / name
    predictions, champion = folder / "predictions.csv", comparison.champion
    verdict = f"The champion is the {champion}: {comparison.reason}."
    report = Metrics.load(folder / "metrics.json", "stage evaluate")
    reports = sorted(folder.glob("[!.]*.*"))
    own_files = filter(Path.exists, (paths.params, paths.codebook, paths.lock))
    basis = {key: str(getattr(report, key)) for key in BASIS if key in report.model_fields_set}
    with files.written_by("stage card", folder / files.MODEL_CARD):
        card = (folder / files.MODEL_CARD).read_text(encoding="utf-8")
    model = paths.models / name
    own = map(paths.name, (model, paths.scores / name))
    digests = {f"dvc.{path}": outputs[path] for path in own}
    return Record(
        part=name,
        state=state,
        name=f"{name} · {title_of(tags) or state[:7]}",
        params=_settings(name, project),
        metrics=metrics_of(report),
        main=[*report.main],
        seconds=_seconds_of_training(paths, name),
        steps=_training_steps(folder),
        tags={**tags, **basis, **digests, "model": name},
        files=[*((path, "reports") for path in reports), *((path, "") for path in own_files)],
        model=model,
        card=card,
        dataset=dataset,
        predictions=described(
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
    """The settings of one model. MLflow's picture of runs begins with the first that differs."""
    own = {
        f"{name}.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in asdict(project.params_of_fits.section(name)).items()
    }
    return {"algorithm": name, "seed": str(project.params.seed)} | own


def _training_steps(folder: Path) -> dict[str, list[float]]:
    """The losses at each step, of the final training and the mean of the folds.

    Empty for a model that is not trained in steps: its first column has another name.
    """
    final = files.read_csv(folder / "final.csv", "stage train")
    x, y = final.columns
    if x != "step":
        return {}
    folds = files.read_csv(folder / "training.csv", "stage evaluate")
    means = folds.groupby(x)[y].mean()
    return {f"training/{y}": list(final[y]), f"training/{y}_of_folds": list(means)}


def _seconds_of_training(paths: Paths, name: str) -> float:
    """How long stage train took to fit the model; 0 if it did not fit it here."""
    last, folder = read_times(paths.times).get(f"train@{name}"), paths.final_fits / name
    if last and folder.exists() and last.fit == files.digest(folder):
        return last.seconds
    return 0.0


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints in a folder; None without git or outside a repository."""
    command = ["git", *arguments]
    try:
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        return run.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
