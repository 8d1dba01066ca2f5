"""Bulk prediction on a Ray cluster: the same bytes as in one process, even if a machine dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from ray.cluster_utils import Cluster

from paratopic.bulk import cluster, jobs
from paratopic.bulk.formats import SHARD
from paratopic.inference.loading import load
from paratopic.project.errors import SOME_ERRORS
from tests.bulk.bulk_runs import Interrupted, predict, read_shards
from tests.documents import save
from tests.programs import Cli

# Ray gives up a machine that does not answer after two seconds instead of fifteen, and its workers
# run at normal priority.
QUICK = {"health_check_period_ms": 400, "worker_niceness": 0}


def write_inputs(folder: Path, n: int) -> list[Path]:
    """Write n rows and 642 more in three files; two of the rows have an error."""
    texts = [f"The tariff and the army, number {n}." for n in range(n)]
    table, article, lines = (folder / name for name in ("a.csv", "b.txt", "c.jsonl"))
    pd.DataFrame({"heading": "Duty é", "text": texts}).to_csv(table, index=False)
    article.write_text("\n\n".join(texts[:40]))
    lines.write_text("\n".join(["{", *(json.dumps({"text": t}) for t in [None, *texts[:600]])]))
    return [table, article, lines]


def resume_on(address: str, inputs: list[Path], model: Path, out: Path) -> subprocess.Popen[str]:
    """Start a process that resumes a run on the cluster at an address."""
    words = ["predict", *map(str, inputs), "--model", str(model), "--out", str(out)]
    words += ["--resume", "--engine", "ray"]
    return subprocess.Popen(
        [sys.executable, "-c", "from paratopic.cli.app import main; main()", *words],
        env=os.environ | {"RAY_ADDRESS": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def suspend_worker(machine: psutil.Process) -> psutil.Process | None:
    """Suspend a process of the machine that predicts a step just now; None if there is none."""
    for process in machine.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            if process.cmdline()[:1] == ["ray::Map(_predict)"]:
                return process
            process.resume()
    return None


def test_a_cluster_of_this_machine_writes_the_same_bytes(
    cli: Cli, reading_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    inputs, out = write_inputs(tmp_path, 700), tmp_path / "out"
    whole = predict(load(reading_folder), inputs, tmp_path / "whole")
    words = ["predict", *inputs, "--model", reading_folder, "--out", out, "--engine", "ray"]
    printed = cli(*words, status=SOME_ERRORS)
    assert f"{out}: {whole.rows:,} rows from 3 files, 2 with an error\n" in printed.out
    assert read_shards(out) == read_shards(tmp_path / "whole")


@pytest.mark.long
def test_a_run_is_resumed_on_a_cluster_that_loses_a_machine(
    baseline_folder: Path, tmp_path: Path
) -> None:
    """One process begins and is interrupted, two machines continue, one of them finishes."""
    inputs, out = write_inputs(tmp_path, 30_000), tmp_path / "out"
    model = load(baseline_folder)
    done = predict(model, inputs, tmp_path / "whole")
    assert (done.rows, done.errors) == (30_642, 2)

    def interrupt(rows: int, share: float) -> None:
        if rows > SHARD:
            raise Interrupted

    with pytest.raises(Interrupted):
        jobs.predict_files(jobs.Job(model, inputs, "text"), out, False, interrupt)
    assert len(read_shards(out)) == 1

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK}
    machines = Cluster(initialize_head=True, head_node_args=head)
    try:
        doomed, _ = (machines.add_node(num_cpus=1) for _ in range(2))
        driver = resume_on(machines.address, inputs, baseline_folder, out)
        raylet = psutil.Process(doomed.all_processes["raylet"][0].process.pid)
        process = None
        while process is None:
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.05)
            if len(read_shards(out)) > 1:
                process = suspend_worker(raylet)
        machines.remove_node(doomed, allow_graceful=False)
        process.kill()
        before = len(read_shards(out))
        stdout, stderr = driver.communicate(timeout=600)
    finally:
        machines.shutdown()
    assert 1 < before < len(read_shards(tmp_path / "whole"))
    assert driver.returncode == SOME_ERRORS, stderr
    assert "so the task will be retried" in stderr  # the step of the suspended process
    assert stdout.startswith(f"{out}: 30,642 rows from 3 files, 2 with an error\n")
    assert read_shards(out) == read_shards(tmp_path / "whole")


def test_reading_for_the_cluster_ends_without_an_error_at_a_wrong_file(tmp_path: Path) -> None:
    """The process that writes the shards reads the file as well, and reports it."""
    right = save(tmp_path, "a.csv", "text\n" + "A tariff.\n" * (jobs.STEP + 1))
    wrong = save(tmp_path, "b.csv", "title\nx\n")
    work = jobs.Work([right, wrong], "text", [], jobs.Done())
    steps = [json.loads(row["texts"]) for row in cluster._read(work, {})]
    assert [len(texts) for texts in steps] == [jobs.STEP, 1]


def test_wrong_addresses_and_a_missing_ray_are_reported(
    cli: Cli, baseline_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, "a.csv", "text\nA tariff.\n")
    words = ["predict", path, "--model", baseline_folder, "--engine", "ray"]
    assert "--engine ray needs --out: name a table or a folder" in cli(*words, status=1).out
    words += ["--out", tmp_path / "out"]
    wrong = {"ray://machine:10001": "give HOST:PORT", "127.0.0.1:9": "no cluster"}
    for address, message in wrong.items():
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert message in cli(*words, status=1).out
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "ray is not installed; pip install 'paratopic[ray]'" in cli(*words, status=1).out
    assert not (tmp_path / "out").exists()
