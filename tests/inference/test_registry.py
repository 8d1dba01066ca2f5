"""Models from MLflow: which extra is named where a package is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from paratopic.inference.registry import fetch
from paratopic.project.errors import UserError


@pytest.mark.parametrize(
    ("missing", "store", "message"),
    [
        ("mlflow.artifacts", "http://127.0.0.1:9", r"a server needs .*paratopic\[registry\]"),
        ("mlflow.artifacts", "sqlite:///mlflow.db", r"a database needs .*paratopic\[train\]"),
        ("sqlalchemy", "sqlite:///mlflow.db", r"a database needs sqlalchemy, .*\[train\]"),
        ("sqlalchemy", "http://127.0.0.1:9", "cannot be loaded from MLflow at http://127.0.0.1:9"),
    ],
)
def test_a_missing_package_is_reported_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str, store: str, message: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    # MLflow keeps what it was asked last.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=rf"models:/paratopic@champion.* {message}"):
        fetch("models:/paratopic@champion", tmp_path)
