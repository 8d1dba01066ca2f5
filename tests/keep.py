"""Keep a small project of this version, which later versions have to open.

    python -m tests.keep

Writes `tests/kept/VERSION.tar.xz`: the project without its store and cache, and `kept.json`, which
has what the results say and what its models answer. `tests/results/test_kept_projects.py` opens it.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from paratopic import Project, __version__, load
from paratopic.project.files import atomic_write
from tests.encoders import save_tiny_encoder
from tests.programs import ROOT, first_results

KEPT = ROOT / "tests/kept"
ABOUT = "kept.json"
# Intermediate results, MLflow's store, and what git and DVC keep.
LEFT_OUT = (".git", ".dvc/cache", ".dvc/tmp", "data/final", "data/fits", "mlflow.db", "mlruns")
TEXTS = (
    "The ministry raised tariffs on imported steel.",
    "Troops left the border after the ceasefire.",
    "The striker scored twice in the cup final.",
    "",
)


def about(folder: Path) -> dict[str, object]:
    """What a project's results say, and what its models answer, as in `kept.json`."""
    project = Project(folder)
    answers = {
        name: [
            [answer.topic, answer.scores]
            for answer in load(folder / "models" / name).predict(TEXTS)
        ]
        for name in project.params.models
    }
    return {
        "paragraphs": len(project.paragraphs),
        "labels": len(project.labels),
        "champion": project.champion,
        "macro_f1": project.metrics().figures["macro_f1"].value,
        "answers": answers,
    }


def main() -> None:
    """Run the pipeline with quick settings, and pack the project."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "project"
        folder.mkdir()
        shutil.copytree(save_tiny_encoder(Path(name)), folder / "encoder")
        first_results(folder, "encoder")
        (folder / ABOUT).write_text(json.dumps(about(folder), indent=1) + "\n", encoding="utf-8")
        for path in LEFT_OUT:
            file = folder / path
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        KEPT.mkdir(exist_ok=True)
        with (
            atomic_write(KEPT / f"{__version__}.tar.xz") as draft,
            tarfile.open(draft, "w:xz") as archive,
        ):
            for path in sorted(os.listdir(folder)):
                archive.add(folder / path, path)


if __name__ == "__main__":
    main()
