"""Programs that tests run: paratopic in this process, other programs in a project, a browser."""

from __future__ import annotations

import importlib
import json
import os
import resource
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from paratopic.cli import app
from paratopic.project.codebook import edit_yaml
from paratopic.project.folder import Project

if TYPE_CHECKING:
    from mlflow.entities import Run
    from selenium.webdriver import Chrome

ROOT = Path(__file__).parents[1]
# Environment variable with the folder of the quickly starting programs of `tests.warm`.
QUICK = "PARATOPIC_QUICK"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_spark = pytest.mark.skipif(
    shutil.which("java") is None or find_spec("pyspark") is None,
    reason="Spark needs Java, `apt-get install default-jre-headless`, and the extra spark",
)


class Printed(str):
    """Output of a program: stdout, which is `out`, and then stderr, which is `err`."""

    out: str
    err: str

    def __new__(cls, out: str, err: str) -> Printed:
        printed = super().__new__(cls, out + err)
        printed.out, printed.err = out, err
        return printed


# The fixture `cli` runs `paratopic` with these arguments in this process, and checks that its exit
# status equals the keyword `status`, by default 0.
Cli = Callable[..., Printed]


def environment() -> dict[str, str]:
    """The environment of a program in a project with its own MLflow store."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC"))}
    return kept | {"PATH": path, "NO_COLOR": "1"}


def sh(project: Path, *words: str, fails: bool = False, **env: str) -> str:
    """Run a program of this environment in a project's folder, and return its output."""
    env = environment() | env
    if QUICK in os.environ:
        env["PATH"] = f"{os.environ[QUICK]}{os.pathsep}{env['PATH']}"
    run = subprocess.run(
        words, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (run.returncode != 0) == fails, run.stdout
    assert "Traceback" not in run.stdout, run.stdout
    return run.stdout


def first_results(folder: Path, encoder: str, **env: str) -> None:
    """Make a copy of the project in an empty folder, with quick settings, and run its pipeline."""
    for name in ("seeds", ".dvc"):
        ignored = shutil.ignore_patterns("cache", "tmp", "config.local")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    quick_settings = {"encoder": encoder, "epochs": 2, "max_tokens": 32, "train_tokens": 16}

    def change(params: dict[str, dict[str, object]]) -> None:
        params["split"]["n_repeats"] = 2
        params["transformer"].update(quick_settings)

    edit_yaml(folder / "params.yaml", folder, change)
    start_repository(folder, "start")
    sh(folder, "dvc", "repro", fails=False, **env)
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", "first results")


def start_repository(folder: Path, message: str) -> None:
    """Commit a folder's files to a new repository."""
    sh(folder, "git", "init", "-q")
    sh(folder, "git", "config", "user.email", "test@example.org")
    sh(folder, "git", "config", "user.name", "test")
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", message)


def python(code: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code with arguments, and with options of `subprocess.run`."""
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, **options)


def killed(folder: Path, words: list[str], seconds: float | None) -> bool:
    """Run a program, and kill it with its children after so many seconds; False if it ended."""
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        assert "Traceback" not in output, output
        return True
    assert process.returncode == 0 and "Traceback" not in output, output
    return False


@contextmanager
def served(project: Path, *words: str) -> Iterator[str]:
    """Run a server and kill it at the end; yields its address, which its first line contains."""
    # The server also has to find the tests.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = environment() | {"PYTHONPATH": path}
    server = subprocess.Popen(words, cwd=project, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http://"))
    finally:
        server.kill()
        server.wait()


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """Send a request, with JSON if it has a body, and return the JSON of the response."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)


def runs(project: Path) -> dict[str, str]:
    """Name of each MLflow run of a project's store → its experiment tag."""
    return {str(run.info.run_name): run.data.tags.get("dvc_exp", "") for run in logged(project)}


def logged(project: Path) -> list[Run]:
    """The MLflow runs of a project's store."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("paratopic")
    all_runs = list(client.search_runs([experiment.experiment_id]))
    assert all(run.info.status == "FINISHED" for run in all_runs)
    return all_runs


@contextmanager
def chromium(folder: Path, *words: str) -> Iterator[Chrome]:
    """A browser with its files in a folder, and with further options, such as "disable-gpu"."""
    if not (BROWSER and DRIVER):
        pytest.skip("there is no chromium and chromedriver here")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = BROWSER
    for word in ("headless", "no-sandbox", f"user-data-dir={folder}", *words):
        options.add_argument(f"--{word}")
    # No host name is resolved, so that every access to the network fails.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def free_port() -> int:
    """An unused port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def run_cli(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `paratopic` with these arguments in this process, and return its exit status."""
    monkeypatch.setattr("sys.argv", ["paratopic", *words])
    with pytest.raises(SystemExit) as ended:
        app.main()
    code = ended.value.code
    if isinstance(code, str):  # sys.exit prints such a message and exits with status 1
        print(code)
        return 1
    return int(code or 0)


def run_benchmark(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, *words: str) -> None:
    """Run a script of benchmarks/ with these arguments in this process, from a folder."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr("sys.argv", [f"{script}.py", *words])
    runpy.run_path(str(ROOT / "benchmarks" / f"{script}.py"), run_name="__main__")


def run_stages(*stages: str, root: Path = Path()) -> None:
    """Run stages of a project, in this process."""
    for stage in stages:
        name, *words = stage.split()
        importlib.import_module(f"paratopic.stages.{name}").main(Project(root), *words)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limit the size of files in a block, to simulate a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
