"""What the files of a project become in MLflow: names, metrics and digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.model_report import TopicFigures
from paratopic.project.errors import UserError
from paratopic.project.files import Paths, digest, write_json
from paratopic.tracking.records import (
    _seconds_of_training,
    git_tags,
    metrics_of,
    outputs_of,
    state_of,
    title_of,
)
from tests.programs import sh
from tests.reports import metrics, sure


def test_estimates_become_metrics_with_their_bounds_and_the_main_ones_first() -> None:
    figures = {"brier": Estimate(0.25), "log_loss": Estimate(0.75, 0.5, 1.0)}
    figures |= {"macro_f1": Estimate(0.5, 0.25, 1.0)}
    precision, recall, f1, none = (Estimate(value, 0.0, 0.9) for value in (0.25, 0.75, 0.5, 0.0))
    topics = {"R&D, AI/ML": TopicFigures(2, precision, recall, f1)}
    topics["not measured"] = TopicFigures(0, none, none, none)
    report = metrics(figures=figures, topics=topics, abstention=sure())
    assert list(metrics_of(report).items()) == [
        *(("macro_f1", 0.5), ("macro_f1_low", 0.25), ("macro_f1_high", 1.0)),
        *(("log_loss", 0.75), ("brier", 0.25), ("log_loss_low", 0.5), ("log_loss_high", 1.0)),
        *(("f1_R_D_ AI_ML", 0.5), ("precision_R_D_ AI_ML", 0.25), ("recall_R_D_ AI_ML", 0.75)),
    ]
    assert metrics_of(metrics(n=0)) == {}


def test_a_models_state_is_what_it_is_and_how_good() -> None:
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
    outputs = outputs_of(lock)
    assert outputs["models/transformer"] == "3.dir" and "models" not in outputs
    state = state_of(outputs, "baseline")
    assert state_of(outputs | {"models/transformer": "9.dir"}, "baseline") == state
    own = ("metrics.json", "card.md")
    for path in ("models/baseline", *(f"reports/models/baseline/{name}" for name in own)):
        assert state_of(outputs | {path: "9"}, "baseline") != state


def test_the_duration_is_that_of_the_fit_of_the_model_that_is_there(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    folder = paths.final_fits / "baseline"
    assert _seconds_of_training(paths, "baseline") == 0
    write_json(folder / "head.json", {})
    write_json(paths.times, {"train@baseline": {"fit": digest(folder), "seconds": 61.5}})
    assert _seconds_of_training(paths, "baseline") == 61.5
    # The model is from another fit, such as one of another machine.
    write_json(folder / "head.json", {"other": 1})
    assert _seconds_of_training(paths, "baseline") == 0
    paths.times.write_text("")  # by a power cut
    assert _seconds_of_training(paths, "baseline") == 0


def test_runs_are_named_after_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert title_of(git_tags(tmp_path)) is None
    (tmp_path / "params.yaml").write_text("seed: 1\n", encoding="utf-8")
    for words in ("init -q", "config user.email a@example.org", "config user.name Ann", "add -A"):
        sh(tmp_path, "git", *words.split())
    sh(tmp_path, "git", "commit", "-qm", "start")
    # What the pipeline writes itself is no change.
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
        outputs_of({"stages": {"prepare": {"cmd": "x"}}})["models/baseline"]
