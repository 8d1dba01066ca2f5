"""The image of examples/serving: built from what its Dockerfile copies, it serves a model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

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
