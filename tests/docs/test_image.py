"""The server of examples/serving answers, and so does the image that its Dockerfile describes."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest
from starlette.testclient import TestClient

from tests import programs
from tests.programs import ROOT, environment, free_port, sh
from tests.samples import TARIFF

RECIPE = (ROOT / "examples/serving/Dockerfile").read_text(encoding="utf-8")


def copy(image: Path, model: Path) -> None:
    """Put into a folder what the Dockerfile copies into the image."""
    for line in re.findall(r"(?m)^COPY (.+)$", RECIPE):
        *sources, target = line.split()
        place = image / target.lstrip("/")
        for source in sources:
            path = model if source == "${MODEL}" else ROOT / source
            if path.is_dir():  # of a folder, Docker copies the content
                shutil.copytree(path, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                file = place / path.name if target.endswith("/") else place
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, file)


@contextmanager
def served(image: Path, packages: Path) -> Iterator[str]:
    """Run the image's command on a free port; gives the address."""
    port = str(free_port())
    (line,) = re.findall(r"(?m)^CMD (.+)$", RECIPE)
    local = {"0.0.0.0": "127.0.0.1", "8000": port, "/app": str(image / "app")}
    words = [local.get(word, word) for word in json.loads(line)]
    (model,) = re.findall(r"(?m)^ENV PARATOPIC_MODEL=(.+)$", RECIPE)
    env = environment() | {
        "PYTHONPATH": str(packages),  # it goes before the environment's own paratopic
        "PARATOPIC_MODEL": str(image / model.lstrip("/")),
    }
    server = subprocess.Popen([sys.executable, "-m", *words], cwd=image, env=env)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def ask(url: str, body: dict[str, list[str]] | None = None) -> object:
    """Ask a server that is starting, until it answers."""
    for _ in range(150):
        try:
            return programs.ask(url, body)
        except URLError:
            time.sleep(0.1)
    raise TimeoutError(url)


def test_the_image_serves_a_model(baseline_folder: Path, tmp_path: Path) -> None:
    image, packages = tmp_path / "image", tmp_path / "packages"
    copy(image, baseline_folder)
    # The image gets what the package needs from an index; here the environment has it.
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "dist")
    sh(image, *pip, *build, "./source")
    (wheel,) = (image / "dist").iterdir()
    sh(image, *pip, "install", "--no-deps", "--no-index", "--target", str(packages), str(wheel))
    for name in ("dvc.yaml", ".dvc/config", ".dvc/plots/precision_recall.json"):
        assert (packages / "paratopic/template" / name).exists()
    where = "import paratopic; print(paratopic.__file__)"
    imported = sh(image, sys.executable, "-c", where, PYTHONPATH=str(packages)).strip()
    assert Path(imported).is_relative_to(packages)
    with served(image, packages) as address:
        assert ask(f"{address}/health") == {
            "kind": "baseline",
            "topics": ["trade", "technology", "security"],
        }
        answers = ask(f"{address}/predict", {"texts": [TARIFF]})
        assert isinstance(answers, list) and answers[0]["topic"] == "trade"


def test_the_example_of_a_server_answers_and_refuses(
    baseline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARATOPIC_MODEL", str(baseline_folder))
    client = TestClient(runpy.run_path(str(ROOT / "examples/serving/app.py"))["app"])
    first, second = client.post("/predict", json={"texts": [TARIFF, ""]}).json()
    assert first["topic"] == "trade" and second["topic"] is None
    assert client.get("/health").json()["kind"] == "baseline"
    for body in (b"", b"[", b"[]", b"{}", b'{"texts": "a"}', b'{"texts": [1]}', b"[" * 100_000):
        assert client.post("/predict", content=body).status_code in (400, 422)
    assert client.post("/predict", json={"texts": [""] * 1001}).status_code == 422
    assert client.post("/predict", json={"texts": ["x" * 100_001]}).status_code == 413
    for content in (b" " * 10_000_001, iter([b"of unknown length"])):
        assert client.post("/predict", content=content).status_code == 413
    described = client.get("/openapi.json").json()["paths"]
    assert set(described) == {"/predict", "/health"}
