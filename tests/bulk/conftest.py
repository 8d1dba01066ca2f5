"""The model and the size of shards of the tests of bulk prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paratopic.inference.loading import load
from paratopic.inference.model import Model
from tests.bulk.bulk_runs import predict, read_rows


@pytest.fixture(scope="module")
def model(baseline_folder: Path) -> Model:
    return load(baseline_folder)


@pytest.fixture(scope="module")
def reading(reading_folder: Path) -> Model:
    return load(reading_folder)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paratopic.tables.shards.SHARD", 3)


@pytest.fixture
def run(model: Model, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Predict inputs into the folder out, and read the rows; so many of them have an error."""

    def rows(*inputs: Path, errors: int = 0) -> list[dict[str, Any]]:
        done = predict(model, list(inputs), tmp_path / "out")
        written = read_rows(tmp_path / "out")
        assert (done.rows, done.errors) == (len(written), errors)
        return written

    return rows
