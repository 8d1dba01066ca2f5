"""A Ray cluster writes the bytes that one process writes, also when one of its machines dies."""

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

from paratopic.cli.predict import SOME_ERRORS
from paratopic.inference.loading import load
from paratopic.serving import bulk, cluster
from paratopic.serving.shards import SHARD
from tests.programs import run_cli
from tests.serving.answers import Ended, predict, shards

# A machine that no longer answers is given up after two seconds, not fifteen; workers do not stand
# back behind whatever else this one does.
QUICK = {"health_check_period_ms": 400, "worker_niceness": 0}


def answering(machine: psutil.Process) -> psutil.Process | None:
    """Stop a process of the machine in the middle of a step; None where none is at one."""
    for process in machine.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            if process.cmdline()[:1] == ["ray::Map(_answer)"]:
                return process
            process.resume()
    return None


def test_a_machine_is_killed_midway(baseline_folder: Path, tmp_path: Path) -> None:
    """Begun by one process, broken off, gone on with by two machines, ended by one."""
    texts = [f"The tariff and the army, number {n}." for n in range(30_000)]
    table, article, lines = (tmp_path / name for name in ("a.csv", "b.txt", "c.jsonl"))
    pd.DataFrame({"n": range(len(texts)), "text": texts}).to_csv(table, index=False)
    article.write_text("\n\n".join(texts[:40]))
    lines.write_text("\n".join(["{", *(json.dumps({"text": t}) for t in [None, *texts[:600]])]))
    inputs, out = [table, article, lines], tmp_path / "out"
    model = load(baseline_folder)
    done = predict(model, inputs, tmp_path / "whole")
    assert (done.rows, done.errors) == (30_642, 2)

    def ending(rows: int, share: float) -> None:
        if rows > SHARD:
            raise Ended

    with pytest.raises(Ended):
        bulk.predict_files(model, inputs, out, "text", False, ending)
    assert len(shards(out)) == 1

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK}
    machines = Cluster(initialize_head=True, head_node_args=head)
    try:
        doomed, _ = (machines.add_node(num_cpus=1) for _ in range(2))
        words = ["predict", *map(str, inputs), "--model", str(baseline_folder), "--out", str(out)]
        driver = subprocess.Popen(
            [sys.executable, "-c", "from paratopic.cli.app import main; main()"]
            + [*words, "--resume", "--engine", "ray"],
            env=os.environ | {"RAY_ADDRESS": machines.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        raylet = psutil.Process(doomed.all_processes["raylet"][0].process.pid)
        process = None
        while process is None:
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.05)
            if len(shards(out)) > 1:
                process = answering(raylet)
        machines.remove_node(doomed, allow_graceful=False)
        process.kill()
        before = len(shards(out))
        told, warned = driver.communicate(timeout=600)
    finally:
        machines.shutdown()
    assert 1 < before < len(shards(tmp_path / "whole"))
    assert driver.returncode == SOME_ERRORS, warned
    assert "so the task will be retried" in warned  # the step at which it was
    assert told == f"30642 rows of 3 files in {out}, 2 with an error\n"
    assert shards(out) == shards(tmp_path / "whole")


def test_reading_ahead_ends_where_files_are_wrong(tmp_path: Path) -> None:
    """Whoever writes what was answered before reads them as well, and tells."""
    (tmp_path / "a.csv").write_text("text\n" + "A tariff.\n" * (bulk.STEP + 1))
    (tmp_path / "b.csv").write_text("title\nx\n")
    work = bulk.Work([tmp_path / "a.csv", tmp_path / "b.csv"], "text", [], bulk.Done())
    read = [json.loads(row["texts"]) for row in cluster._read(work, {})]
    assert [len(texts) for texts in read] == [bulk.STEP, 1]


def test_mistakes(
    baseline_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.csv").write_text("text\nA tariff.\n")
    words = ["predict", str(tmp_path / "a.csv"), "--model", str(baseline_folder)]
    words += ["--engine", "ray"]
    assert run_cli(monkeypatch, *words) == 1
    assert "--engine ray: name a folder" in capsys.readouterr().out
    words += ["--out", str(tmp_path / "out")]
    for address, told in (("ray://machine:10001", "give HOST:PORT"), ("127.0.0.1:9", "no cluster")):
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert run_cli(monkeypatch, *words) == 1
        assert told in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run_cli(monkeypatch, *words) == 1
    assert "ray is not installed; pip install 'paratopic[ray]'" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
