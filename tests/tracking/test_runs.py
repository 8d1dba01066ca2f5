"""Runs in a real store: each is written once, champions are registered, errors are reported."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from paratopic import load, predict
from paratopic.inference.model import _fetch_once
from paratopic.inference.registry import ARTIFACTS, store_uri, use_store
from paratopic.project.errors import UserError
from paratopic.tracking import runs
from paratopic.tracking.runs import COMPARED, DESCRIPTION, VIEW_TAG, Record, write_runs
from tests.samples import TARIFF


def runs_in(uri: str, experiment: str) -> dict[str, Run]:
    client = MlflowClient(uri)
    stored = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    runs_by_name = {str(run.info.run_name): run for run in stored}
    assert len(runs_by_name) == len(stored)
    return runs_by_name


def test_a_model_is_written_once(
    uri: str, baseline: Record, transformer: Record, tmp_path: Path
) -> None:
    for written in (2, 0):
        assert write_runs(uri, "once", [baseline, transformer], tmp_path / "runs") == written
    # If the other model changes, this one is not written again.
    other = replace(baseline, state="s2", name="baseline · def")
    assert write_runs(uri, "once", [other, transformer], tmp_path / "runs") == 1
    names = {"baseline · abc", "transformer · abc", "baseline · def"}
    assert set(runs_in(uri, "once")) == names


@pytest.fixture
def written_run(uri: str, baseline: Record, tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """Run of the baseline in an experiment with the name of the test."""
    experiment = str(request.node.name)
    assert write_runs(uri, experiment, [baseline], tmp_path / "runs") == 1
    return runs_in(uri, experiment)["baseline · abc"]


def test_a_run_has_its_metrics_and_data(uri: str, baseline: Record, written_run: Run) -> None:
    run, client = written_run, MlflowClient(uri)
    assert run.info.status == "FINISHED"
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.data.tags["mlflow.source.name"] == "dvc.yaml"
    assert run.data.params == baseline.params
    assert run.data.metrics == {**baseline.metrics, "training/loss": 1.0}
    losses = client.get_metric_history(run.info.run_id, "training/loss")
    assert [(metric.step, metric.value) for metric in losses] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    inputs = {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs}
    assert (inputs["train"].name, inputs["train"].digest) == ("paragraphs", "d1g35t")
    assert inputs["eval"].digest == "d1g36t" and "label" in inputs["eval"].schema
    with use_store(uri):
        table = client.load_table(run.info.experiment_id, "predictions.json", [run.info.run_id])
    assert table["answer"].tolist() == ["trade"]
    paths = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert paths == {"comparison", "predictions.json"}


def test_a_run_has_its_model_with_metrics_and_an_example(
    uri: str, baseline: Record, written_run: Run
) -> None:
    (output,) = written_run.outputs.model_outputs
    model, run_id = MlflowClient(uri).get_logged_model(output.model_id), written_run.info.run_id
    assert (model.status, model.source_run_id) == ("READY", run_id)
    assert {metric.key: metric.value for metric in model.metrics} == baseline.metrics
    assert {metric.dataset_digest for metric in model.metrics} == {"d1g35t"}
    assert model.params == baseline.params
    assert model.tags["mlflow.source.name"] == "dvc.yaml"
    assert model.tags["mlflow.note.content"] == "# A card"
    with use_store(uri):
        loaded = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert (loaded.metadata.run_id, loaded.model_id) == (run_id, output.model_id)
    assert len(loaded.predict(loaded.input_example)) == 1
    assert "confidence" in loaded.metadata.signature.outputs.input_names()


def test_a_run_lasts_as_long_as_the_training(uri: str, baseline: Record, tmp_path: Path) -> None:
    began = time.time()
    trained = replace(baseline, seconds=7200.5)
    for written in (1, 0):
        assert write_runs(uri, "long", [trained], tmp_path / "runs") == written
    (run,) = runs_in(uri, "long").values()
    assert run.info.end_time - run.info.start_time == 7_200_500
    assert began <= run.info.end_time / 1000 + 0.001 <= time.time()


def test_a_new_comparison_replaces_the_old_one_of_a_run_but_not_in_a_trial(
    uri: str, baseline: Record, transformer: Record, tmp_path: Path
) -> None:
    client = MlflowClient(uri)

    def compared(digest: str, champion: str, trial: bool = False) -> str:
        summary = tmp_path / "summary.md"
        summary.write_text(digest, encoding="utf-8")
        records = [
            replace(record, compared=digest, champion=champion)
            for record in (baseline, transformer)
        ]
        write_runs(uri, "compared", records, tmp_path / "runs", trial)
        run = runs_in(uri, "compared")["transformer · abc"]
        path = client.download_artifacts(run.info.run_id, "comparison/summary.md")
        assert run.data.tags[COMPARED] == Path(path).read_text(encoding="utf-8")
        assert run.data.tags["mlflow.note.content"] == baseline.verdict
        return f"{run.data.tags[COMPARED]}: {run.data.tags['champion']}"

    assert compared("c1", "baseline") == "c1: no"
    assert compared("c2", "transformer") == "c2: yes"
    assert compared("c3", "baseline", trial=True) == "c2: yes"
    assert len(runs_in(uri, "compared")) == 2


def test_a_copied_or_moved_project_has_its_models_and_changes_no_others(
    baseline: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(root: Path, record: Record) -> int:
        return write_runs(store_uri(root), "paratopic", [record], root / ARTIFACTS)

    one, two, three = tmp_path / "one", tmp_path / "t#wo", tmp_path / "three"
    one.mkdir()
    write(one, baseline)
    shutil.copytree(one, two)
    files = {path for path in one.rglob("*") if path.is_file()}
    assert write(two, baseline) == 0
    assert write(two, replace(baseline, state="s2", name="baseline · def")) == 1
    assert {path for path in one.rglob("*") if path.is_file()} == files
    shutil.rmtree(one)
    two.rename(three)
    monkeypatch.chdir(three)
    assert load("models:/paratopic@champion").predict(TARIFF).topic == "trade"
    for run in runs_in(store_uri(three), "paratopic").values():
        assert MlflowClient(store_uri(three)).list_artifacts(run.info.run_id)
    assert not one.exists() and not two.exists()


@pytest.mark.parametrize("name", ["mlflow.db", ARTIFACTS])
def test_no_store_is_outside_of_the_project(
    here: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    (here / name).symlink_to(tmp_path_factory.mktemp("elsewhere") / name)
    with pytest.raises(UserError, match=rf"{name}: .* outside of the project"):
        store_uri(Path())


def test_an_older_view_is_renewed(uri: str, baseline: Record, tmp_path: Path) -> None:
    client = MlflowClient(uri)
    number = client.create_experiment("old", (tmp_path / "runs").as_uri())
    for key in (VIEW_TAG, DESCRIPTION):
        client.set_experiment_tag(number, key, "old")
    write_runs(uri, "old", [baseline], tmp_path / "runs")
    tags = client.get_experiment(number).tags
    assert tags[DESCRIPTION] == "old"
    state = json.loads(json.loads(tags[VIEW_TAG])["state"])
    columns = [column.partition(".")[2].strip("`") for column in state["selectedColumns"]]
    assert columns == ["champion", *baseline.main]
    # Columns show whole names, in which a character has 7 pixels.
    widths = state["columnWidths"]
    assert all(widths[f"metrics.`{name}`"] > 7 * len(name) for name in baseline.main)


def test_an_incomplete_run_is_written_again(
    uri: str, baseline: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(client: MlflowClient, run_id: str, record: Record) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_write_comparison", interrupted)  # the last step
        with pytest.raises(KeyboardInterrupt):
            write_runs(uri, "incomplete", [baseline], tmp_path / "runs")
    assert [run.info.status for run in runs_in(uri, "incomplete").values()] == ["RUNNING"]
    assert write_runs(uri, "incomplete", [baseline], tmp_path / "runs") == 1
    (run,) = runs_in(uri, "incomplete").values()
    assert run.info.status == "FINISHED"
    (model,) = MlflowClient(uri).search_logged_models([run.info.experiment_id])
    assert model.source_run_id == run.info.run_id


def test_processes_wait_for_each_other(uri: str, baseline: Record, tmp_path: Path) -> None:
    def write(_: int) -> int:
        return write_runs(uri, "together", [baseline], tmp_path / "runs")

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(write, range(2))) == [0, 1]
    assert len(runs_in(uri, "together")) == 1


def test_a_store_that_cannot_be_written_is_reported(tmp_path: Path, baseline: Record) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE latest_metrics (x)")
    with pytest.raises(UserError, match=r"(?s)mlflow.db cannot.*already exists.*move that file"):
        write_runs(f"sqlite:///{path}", "half", [baseline], tmp_path / "runs")
    with pytest.raises(UserError, match=r"(?s)http://127.0.0.1:9 cannot.*safe on disk.*dvc repro"):
        write_runs("http://127.0.0.1:9", "unreachable", [baseline], tmp_path / "runs")


def test_a_champion_is_a_registered_version_with_its_figures_and_card(
    uri: str, baseline: Record, transformer: Record, tmp_path: Path
) -> None:
    client = MlflowClient(uri)
    winner = replace(transformer, champion="transformer")

    def champion(*records: Record, trial: bool = False) -> tuple[str, str]:
        write_runs(uri, "r", records, tmp_path / "runs", trial)
        version = client.get_model_version_by_alias("r", "champion")
        assert version.description == "# A card"
        return str(version.version), version.tags["model"]

    for _ in range(2):
        assert champion(baseline) == ("1", "baseline")
    assert champion(winner, trial=True) == ("1", "baseline")
    assert champion(winner) == ("2", "transformer")
    # The earlier state of the pipeline has been checked out again.
    assert champion(baseline) == ("1", "baseline")
    first, second = sorted(client.search_model_versions("name = 'r'"), key=lambda x: x.version)
    assert first.tags["answer_macro_f1"] == "0.688" and first.tags["n"] == "21"
    assert client.get_registered_model("r").description


def test_a_model_is_loaded_from_mlflow(
    uri: str, baseline: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_runs(uri, "l", [baseline], tmp_path / "runs")
    (run,) = runs_in(uri, "l").values()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    text = "A tariff on goods."
    prediction = load(baseline.model).predict(text)
    for place in ("models:/l@champion", "models:/l/1", f"runs:/{run.info.run_id}/model"):
        assert load(place).predict(text) == prediction
        served = mlflow.pyfunc.load_model(place)
        assert served.predict({"text": text})["topic"].tolist() == [prediction.topic]
    monkeypatch.setenv("PARATOPIC_MODEL", "models:/l@champion")
    n_downloads = _fetch_once.cache_info().misses
    assert [predict(text) for _ in range(3)] == [prediction] * 3
    assert _fetch_once.cache_info().misses == n_downloads + 1
    with pytest.raises(UserError, match="models:/nobody@champion"):
        load("models:/nobody@champion")
