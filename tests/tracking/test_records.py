"""Records of a project's models for MLflow: names, metrics and digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.model_report import TopicFigures
from paratopic.project.errors import UserError
from paratopic.project.files import Paths, folder_digest, write_json
from paratopic.tracking.records import (
    _seconds_of_training,
    git_tags,
    mlflow_metrics,
    pipeline_outputs,
    state_of,
    title_of,
)
from tests.programs import sh
from tests.reports import metrics, sure


def test_estimates_become_metrics_with_their_bounds_and_the_main_ones_first() -> None:
    figures = {"brier": Estimate(0.25), "log_loss": Estimate(0.75, 0.5, 1.0)}
    figures |= {"macro_f1": Estimate(0.5, 0.25, 1.0)}
    precision, recall = Estimate(0.25, 0.0, 0.9), Estimate(0.75, 0.0, 0.9)
    f1, unmeasured = Estimate(0.5, 0.0, 0.9), Estimate(0.0, 0.0, 0.9)
    topics = {"R&D, AI/ML": TopicFigures(2, precision, recall, f1)}
    topics["not measured"] = TopicFigures(0, unmeasured, unmeasured, unmeasured)
    report = metrics(figures=figures, topics=topics, abstention=sure())
    assert list(mlflow_metrics(report).items()) == [
        *(("macro_f1", 0.5), ("macro_f1_low", 0.25), ("macro_f1_high", 1.0)),
        *(("log_loss", 0.75), ("brier", 0.25), ("log_loss_low", 0.5), ("log_loss_high", 1.0)),
        *(("f1_R_D_ AI_ML", 0.5), ("precision_R_D_ AI_ML", 0.25), ("recall_R_D_ AI_ML", 0.75)),
    ]
    assert mlflow_metrics(metrics(n=0)) == {}


def test_the_state_of_a_model_depends_on_its_files_metrics_and_card() -> None:
    lock = {
        "stages": {
            "evaluate@baseline": {
                "outs": [{"path": "reports/models/baseline/metrics.json", "md5": "1"}]
            },
            "card@baseline": {"outs": [{"path": "reports/models/baseline/card.md", "md5": "0"}]},
            "train@baseline": {"outs": [{"path": "models/baseline", "md5": "2.dir"}]},
            "train@transformer": {"outs": [{"path": "models/transformer", "md5": "3.dir"}]},
            "track": {"deps": [{"path": "models", "md5": "4.dir"}]},
        }
    }
    outputs = pipeline_outputs(lock)
    assert outputs["models/transformer"] == "3.dir" and "models" not in outputs
    state = state_of(outputs, "baseline")
    assert state_of(outputs | {"models/transformer": "9.dir"}, "baseline") == state
    reports = "reports/models/baseline"
    for path in ("models/baseline", f"{reports}/metrics.json", f"{reports}/card.md"):
        assert state_of(outputs | {path: "9"}, "baseline") != state


def test_the_duration_belongs_to_the_fit_of_the_present_model(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    folder = paths.final_fits / "baseline"
    assert _seconds_of_training(paths, "baseline") == 0
    write_json(folder / "head.json", {})
    write_json(paths.times, {"train@baseline": {"fit": folder_digest(folder), "seconds": 61.5}})
    assert _seconds_of_training(paths, "baseline") == 61.5
    # The model comes from another fit, such as one on another machine.
    write_json(folder / "head.json", {"other": 1})
    assert _seconds_of_training(paths, "baseline") == 0
    paths.times.write_text("")  # a power cut can leave an empty file
    assert _seconds_of_training(paths, "baseline") == 0


def test_runs_are_named_after_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert title_of(git_tags(tmp_path)) is None
    (tmp_path / "params.yaml").write_text("seed: 1\n", encoding="utf-8")
    for words in ("init -q", "config user.email a@example.org", "config user.name Ann", "add -A"):
        sh(tmp_path, "git", *words.split())
    sh(tmp_path, "git", "commit", "-qm", "start")
    # Files that the pipeline writes itself do not count as changes.
    (tmp_path / "reports").mkdir()
    for name in ("dvc.lock", "reports/comparison.json"):
        (tmp_path / name).write_text("new\n", encoding="utf-8")
    tags = git_tags(tmp_path)
    assert (tags["git_dirty"], tags["mlflow.user"]) == ("false", "Ann")
    assert title_of(tags) == tags["git_commit"][:7]
    assert title_of(tags | {"dvc_exp": "milder"}) == "milder"
    (tmp_path / "params.yaml").write_text("seed: 2\n", encoding="utf-8")
    assert title_of(git_tags(tmp_path)) == f"{tags['git_commit'][:7]}-dirty"


def test_an_output_that_the_pipeline_has_not_made_yet_is_named() -> None:
    missing = r"^dvc.lock lists no models/baseline: run `dvc repro` first"
    with pytest.raises(UserError, match=missing):
        pipeline_outputs({"stages": {"prepare": {"cmd": "x"}}})["models/baseline"]
