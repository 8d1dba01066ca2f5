"""Runs in a real store: each written once, champions registered, a server down reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from paratopic import load
from paratopic.inference.registry import SETTINGS, store_uri
from paratopic.project.errors import UserError
from paratopic.tracking import runs
from paratopic.tracking.records import estimate_metrics, flatten, state_of
from paratopic.tracking.runs import STATE, Record, _fill, write_runs


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    yield


@pytest.fixture
def records(baseline_folder: Path) -> tuple[Record, Record]:
    rows = pd.DataFrame({"id": ["a"], "text": ["Tariffs"], "topic": ["trade"]})
    parent = Record("comparison", "x comparison", {"seed": "1"}, {"baseline": 0.5}, {})
    child = Record(
        part="baseline",
        name="x baseline",
        params={"seed": "1", "definition": "long " * 500},
        metrics={"macro_f1": 0.5, "f1.Sci/Tech": 0.25},
        tags={"git_commit": "abc"},
        steps={"loss": [3.0, 2.0, 1.0]},
        model=baseline_folder,
        table=rows,
        dataset=(rows, "paragraphs", "data/paragraphs.parquet", "d1g35t"),
    )
    return parent, child


def test_a_state_is_written_once(uri: str, records: tuple[Record, Record], tmp_path: Path) -> None:
    parent, child = records
    assert write_runs(uri, "e", "s1", parent, [child], tmp_path / "runs") == 2
    assert write_runs(uri, "e", "s1", parent, [child], tmp_path / "runs") == 0
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("e")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"x comparison", "x baseline"}
    run = runs["x baseline"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == runs["x comparison"].info.run_id
    assert run.data.tags["git_commit"] == "abc"
    assert run.data.metrics == {"macro_f1": 0.5, "f1.Sci/Tech": 0.25, "loss": 1.0}
    assert run.data.params["definition"] == "long " * 500
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in losses] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    (entry,) = run.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("paragraphs", "d1g35t")
    paths = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert paths == {"model", "predictions.json"}


def test_an_incomplete_run_is_written_again(
    uri: str, records: tuple[Record, Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child = records
    fill = _fill

    def interrupted(client: MlflowClient, run_id: str, record: Record) -> None:
        if record.part == "baseline":
            raise KeyboardInterrupt
        fill(client, run_id, record)

    monkeypatch.setattr(runs, "_fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_runs(uri, "e", "s2", parent, [child], tmp_path / "runs")
    monkeypatch.setattr(runs, "_fill", fill)
    assert write_runs(uri, "e", "s2", parent, [child], tmp_path / "runs") == 1
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("e")
    written = client.search_runs(
        [experiment.experiment_id], f"tags.`{STATE}` = 's2'", order_by=["start_time"]
    )
    assert [run.info.status for run in written] == ["FINISHED", "FINISHED"]


def test_an_unreachable_server_is_reported(records: tuple[Record, Record], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)http://127.0.0.1:9 cannot.*safe on disk.*dvc repro"):
        write_runs("http://127.0.0.1:9", "e", "s", records[0], [], tmp_path)


def test_the_store_is_the_projects_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert store_uri(tmp_path) == "http://there"


def test_writing_runs_leaves_no_run_active() -> None:
    assert mlflow.active_run() is None


def test_nested_mappings_are_flattened() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}


def test_metrics_are_the_numbers_of_a_report_under_short_names() -> None:
    report = {
        "n": 3,
        "macro_f1": {"value": 0.5, "low": 0.25, "high": 1.0},
        "significant": True,
        "notes": "one article",
        "topics": {"trade": {"support": 2, "f1": {"value": 0.5, "low": 0.1, "high": 0.9}}},
    }
    assert estimate_metrics(report) == {
        "n": 3.0,
        "macro_f1": 0.5,
        "macro_f1.low": 0.25,
        "macro_f1.high": 1.0,
        "support.trade": 2.0,
        "f1.trade": 0.5,
        "f1.trade.low": 0.1,
        "f1.trade.high": 0.9,
    }


def test_state_depends_on_the_chosen_models_and_not_on_stage_track() -> None:
    lock: dict[str, Any] = {
        "stages": {
            "prepare": {"outs": [{"path": "p", "md5": "1"}]},
            "train@baseline": {"outs": [{"path": "b", "md5": "2"}]},
            "train@transformer": {"outs": [{"path": "t", "md5": "3"}]},
            "track": {"deps": []},
        }
    }
    state, outputs = state_of(lock, ("baseline",))
    assert outputs == {"p": "1", "b": "2"}
    lock["stages"]["track"]["deps"] = [{"path": "p", "md5": "9"}]
    lock["stages"]["train@transformer"]["outs"][0]["md5"] = "9"
    assert state_of(lock, ("baseline",))[0] == state
    lock["stages"]["train@baseline"]["outs"][0]["md5"] = "9"
    assert state_of(lock, ("baseline",))[0] != state


def test_a_champion_is_a_registered_version_with_its_figures(
    uri: str, records: tuple[Record, Record], tmp_path: Path
) -> None:
    parent, child = records
    better = replace(child, part="transformer", metrics={"macro_f1": 0.75, "other": 1.0})
    client = MlflowClient(uri)

    def champion() -> tuple[str, dict[str, str]]:
        version = client.get_model_version_by_alias("r", "champion")
        return str(version.version), version.tags

    for _ in range(2):
        write_runs(uri, "r", "s1", parent, [child], tmp_path / "runs", "baseline")
        assert champion() == ("1", {"model": "baseline", "macro_f1": "0.5"})
    write_runs(uri, "r", "s2", parent, [child, better], tmp_path / "runs")
    assert champion()[0] == "1"
    write_runs(uri, "r", "s2", parent, [child, better], tmp_path / "runs", "transformer")
    assert champion() == ("2", {"model": "transformer", "macro_f1": "0.75"})
    # The earlier state of the pipeline has been checked out again.
    write_runs(uri, "r", "s1", parent, [child], tmp_path / "runs", "baseline")
    assert champion()[0] == "1"
    assert len(client.search_model_versions("name = 'r'")) == 2


def test_a_model_is_loaded_from_mlflow(
    uri: str,
    records: tuple[Record, Record],
    baseline_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parent, child = records
    write_runs(uri, "l", "s1", parent, [child], tmp_path / "runs", "baseline")
    version = MlflowClient(uri).get_model_version_by_alias("l", "champion")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    answer = load(baseline_folder).predict("A tariff on goods.")
    for place in ("models:/l@champion", "models:/l/1", f"runs:/{version.run_id}/model"):
        assert load(place).predict("A tariff on goods.") == answer
        served = mlflow.pyfunc.load_model(place)
        assert served.predict(["A tariff on goods."])["topic"].tolist() == [answer.topic]
    with pytest.raises(UserError, match="models:/nobody@champion cannot be loaded from MLflow"):
        load("models:/nobody@champion")
