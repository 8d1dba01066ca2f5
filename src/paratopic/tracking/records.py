"""Records of the pipeline's state: params, reports and models, as MLflow is to hold them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from paratopic.corpus.table import labelled_rows, read_paragraphs
from paratopic.project import files
from paratopic.project.params import PATH, Params
from paratopic.project.paths import COMPARISON, LOCK, MODELS, PARAGRAPHS, REPORTS, SUMMARY
from paratopic.tracking.runs import Record


def state_of(lock: dict[str, Any], models: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Digest of the pipeline's state, and the hashes of its outputs: path → md5.

    Counted is what dvc.lock says of every stage before this one, for the chosen models only.
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
    """The commit, and whether the working tree differs from it."""

    def git(*words: str) -> str | None:
        try:
            run = subprocess.run(["git", *words], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return run.stdout.strip()

    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain")
    if commit is None or changes is None:
        return {"git_commit": "unknown"}
    dirty = str(bool(changes)).lower()
    return {"git_commit": commit, "mlflow.source.git.commit": commit, "git_dirty": dirty}


def estimate_metrics(report: dict[str, Any]) -> dict[str, float]:
    """Figures under short names: macro_f1, macro_f1.low, f1.trade, f1.trade.low, support.trade."""
    flat = flatten({key: value for key, value in report.items() if key != "topics"})
    for topic, measured in report.get("topics", {}).items():
        for metric, value in measured.items():
            flat |= flatten({f"{metric}.{topic}": value})
    return {
        name.removesuffix(".value"): float(value)
        for name, value in flat.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def records(
    params: Params, tags: dict[str, str], outputs: dict[str, str], title: str
) -> tuple[Record, list[Record]]:
    """The parent record and one a model, from the files in the current directory."""
    flat = {key: _shown(value) for key, value in flatten(asdict(params)).items()}
    rows = labelled_rows(read_paragraphs(PARAGRAPHS), params.topics.mode)
    rows = rows[["id", "text", "topic"]]
    dataset = (rows, "paragraphs", str(PARAGRAPHS), outputs[str(PARAGRAPHS)])
    comparison = files.read_json(COMPARISON, "stage compare")
    tags = tags | {"split_unit": comparison["split_unit"], "champion": comparison["champion"]}
    children = []
    for name in params.models:
        folder = REPORTS / name
        report = files.read_json(folder / "metrics.json", "stage evaluate")
        parity = files.read_json(folder / "parity.json", "stage train")
        final = pd.read_csv(folder / "final.csv")
        held_out = pd.read_csv(folder / "training.csv")
        x, y = final.columns
        steps = {}
        if x == "step":
            steps = {y: list(final[y]), f"{y}.folds": list(held_out.groupby(x)[y].mean())}
        children.append(
            Record(
                part=name,
                name=f"{name} {title}",
                params={
                    key: value
                    for key, value in flat.items()
                    if key.partition(".")[0] not in {"baseline", "transformer"} - {name}
                },
                metrics=estimate_metrics(report | {"parity": parity}),
                steps=steps,
                tags=tags
                | {
                    "model": name,
                    "dvc.model": outputs[str(MODELS / name)],
                    "mlflow.note.content": report["notes"],
                },
                files=[(path, "reports") for path in sorted(folder.iterdir()) if path.suffix != ""]
                + [(PATH, "")],
                model=MODELS / name,
                table=pd.read_csv(folder / "predictions.csv", keep_default_na=False),
                dataset=dataset,
            )
        )
    parent = Record(
        part="comparison",
        name=f"comparison {title}",
        params=flat,
        metrics=estimate_metrics(
            {name: comparison["models"][name]["macro_f1"] for name in comparison["models"]}
            | comparison["differences"]
        ),
        tags=tags | {"mlflow.note.content": SUMMARY.read_text(encoding="utf-8")},
        files=[(SUMMARY, ""), (COMPARISON, ""), (COMPARISON.with_suffix(".png"), ""), (LOCK, "")],
        dataset=dataset,
    )
    return parent, children


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=asdict)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: {"f1": {"trade": 1}} → {"f1.trade": 1}."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        result |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return result
