"""Stage track: params, reports and models → MLflow, each pipeline state once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from paratopic import corpus, errors, files, tracking
from paratopic.params import PATH, Params, read_params

PARAGRAPHS = Path("data/paragraphs.parquet")
REPORTS = Path("reports")
MODELS = Path("models")
COMPARISON = Path("reports/comparison.json")
SUMMARY = Path("reports/summary.md")
LOCK = Path("dvc.lock")


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
    flat = tracking.flat({key: value for key, value in report.items() if key != "topics"})
    for topic, measured in report.get("topics", {}).items():
        for metric, value in measured.items():
            flat |= tracking.flat({f"{metric}.{topic}": value})
    return {
        name.removesuffix(".value"): float(value)
        for name, value in flat.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def records(
    params: Params, tags: dict[str, str], outputs: dict[str, str], title: str
) -> tuple[tracking.Record, list[tracking.Record]]:
    """The parent record and one a model, from the files in the current directory."""
    flat = {key: _shown(value) for key, value in tracking.flat(asdict(params)).items()}
    rows = corpus.labelled(corpus.read_paragraphs(PARAGRAPHS), params.topics.mode)
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
            tracking.Record(
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
    parent = tracking.Record(
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


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    lock = YAML(typ="safe", pure=True).load(LOCK)
    state, outputs = state_of(lock, params.models)
    experiment = os.environ.get("DVC_EXP_NAME")
    tags = git_tags() | {f"dvc.{path}": md5 for path, md5 in outputs.items() if "/oof" in path}
    tags |= {"dvc.paragraphs": outputs[str(PARAGRAPHS)]}
    if experiment:
        tags["dvc_exp"] = experiment
    parent, children = records(params, tags, outputs, experiment or state[:8])
    # DVC_ROOT is the project's root also for experiments that run in a folder of their own.
    root = Path(os.environ.get("DVC_ROOT", "."))
    uri = tracking.store_uri(root)
    # An experiment tries something: what it finds is not what others load as the champion.
    champion = None if experiment else parent.tags["champion"]
    written = tracking.write(
        uri, params.track.experiment, state, parent, children, root / "mlruns", champion
    )
    print(f"{written} new MLflow runs in {uri}" if written else f"MLflow is up to date: {uri}")


if __name__ == "__main__":
    errors.run(main)
