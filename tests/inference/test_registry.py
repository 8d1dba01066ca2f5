"""Models from MLflow: which extra is named where a package is missing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.programs import python


@pytest.mark.parametrize(
    ("missing", "store", "message"),
    [
        ("mlflow.artifacts", "http://127.0.0.1:9", r"a server needs .*paratopic\[registry\]"),
        ("mlflow.artifacts", "sqlite:///mlflow.db", r"a database needs .*paratopic\[train\]"),
        ("sqlalchemy", "sqlite:///mlflow.db", r"a database needs sqlalchemy, .*\[train\]"),
        ("sqlalchemy", "http://127.0.0.1:9", "cannot be loaded from MLflow at http://127.0.0.1:9"),
    ],
)
def test_a_missing_package_is_named(tmp_path: Path, missing: str, store: str, message: str) -> None:
    """In a process of its own: MLflow remembers for good what it could not import."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path\n"
        "from paratopic.inference.registry import fetch\n"
        "from paratopic.project import errors\n"
        "errors.run(lambda: fetch('models:/paratopic@champion', Path()))\n"
    )
    run = python(program, cwd=tmp_path, env=os.environ | {"MLFLOW_TRACKING_URI": store})
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert re.search(rf"models:/paratopic@champion.* {message}", run.stderr), run.stderr
