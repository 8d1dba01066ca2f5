"""Model and size of shards for the tests of bulk prediction."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.inference.model import Model, load


@pytest.fixture(scope="module")
def reading(context_model_folder: Path) -> Model:
    return load(context_model_folder)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paratopic.bulk.formats.SHARD", 3)
