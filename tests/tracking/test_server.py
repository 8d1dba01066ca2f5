"""A server that several projects write to.

pytest -m long tests/tracking/test_server.py --log-cli-level INFO
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from mlflow import MlflowClient

from paratopic.tracking.runs import PART, write_runs
from paratopic.tracking.ui import QUIET, server_responds
from tests.programs import free_port
from tests.tracking.conftest import records_of

PROJECTS = 8

pytestmark = pytest.mark.long
log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Address of an empty PostgreSQL database, whose server is stopped after the tests."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    program = shutil.which("pg_ctl")
    if program is None:
        pytest.skip("PostgreSQL is not installed, or pg_ctl is not on the PATH")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, user)

        def control(*words: str) -> None:
            command = [program, "-D", f"{folder}/data", "-w", "-s", *words]
            subprocess.run(command, check=True, user=user, cwd=folder)

        control("init", "-o", "-A trust -U postgres")
        options = f"-p {port} -k {folder} -h 127.0.0.1"
        control("start", "-l", f"{folder}/log", "-o", options)
        try:
            yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
        finally:
            control("stop", "-m", "immediate")


@contextmanager
def served(uri: str, folder: Path) -> Iterator[str]:
    """Address of an MLflow server of a store, with artifacts in a folder."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--port", str(port)]
    with (folder / "log").open("w") as file:
        process = subprocess.Popen(
            command, env=QUIET | os.environ, stdout=file, stderr=file, cwd=folder
        )
    try:
        while not server_responds(port):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(database, tmp_path_factory.mktemp("server")) as address:
        yield address


def write(uri: str, experiment: str, model: Path, folder: Path, barrier: Barrier) -> int:
    """Write the runs of a project to a store when all projects are ready."""
    folder.mkdir()
    baseline, transformer = records_of(model, folder)
    MlflowClient(uri).search_experiments(max_results=1)
    barrier.wait()
    return write_runs(uri, experiment, [baseline, transformer], folder / "mlruns")


def test_projects_write_at_once(server: str, baseline_folder: Path, tmp_path: Path) -> None:
    """Each project has its own experiment, as the documentation says."""
    names = [f"project{n}" for n in range(PROJECTS)]
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(PROJECTS, context) as pool:
        barrier = manager.Barrier(PROJECTS)
        started = time.perf_counter()
        futures = [
            pool.submit(write, server, name, baseline_folder, tmp_path / str(n), barrier)
            for n, name in enumerate(names)
        ]
        counts = [future.result() for future in futures]
    log.info("%d projects: %.1f s, %s runs", PROJECTS, time.perf_counter() - started, counts)
    assert counts == [2] * PROJECTS
    client = MlflowClient(server)
    for name in names:
        experiment = client.get_experiment_by_name(name)
        runs = client.search_runs([experiment.experiment_id])
        assert {run.data.tags[PART] for run in runs} == {"baseline", "transformer"}
        assert {run.info.status for run in runs} == {"FINISHED"}
        champion = client.get_model_version_by_alias(name, "champion")
        assert champion.tags["model"] == "baseline"
        for run in runs:
            assert client.list_artifacts(run.info.run_id)
