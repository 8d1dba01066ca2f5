"""A tiny trained model of each kind, in memory and in its folder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.model import Model, load
from paratopic.inference.modes import Calibration
from paratopic.project.texts import numbered
from paratopic.project.topics import ModeName, Topics
from paratopic.training.examples import Fitted
from tests.documents import altered
from tests.samples import (
    CONTEXT_WEIGHTS,
    KINDS,
    examples,
    fit,
    fit_with_context,
    passages_in_articles,
)

Make = Callable[..., tuple[Fitted, Path]]


@pytest.fixture(scope="session")
def make(rows: pd.DataFrame, topics: Topics, tiny_encoder: Path, shared_folder: Path) -> Make:
    """Fit a model of a kind once; all processes of a test run share its saved folder."""

    @functools.cache
    def fitted(
        kind: str, weights: ContextWeights | None, mode: ModeName = "single"
    ) -> tuple[Fitted, Path]:
        data, mode_topics = examples(rows, topics.names), replace(topics, mode=mode)
        if weights is None:
            model = fit(kind, data, mode_topics, tiny_encoder)
        else:
            data = replace(data, texts=numbered(passages_in_articles(rows)))
            model = fit_with_context(kind, data, mode_topics, tiny_encoder, weights)
        folder = shared_folder / ("trained" if weights is None else "reading") / mode / kind
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                model.save(folder, Calibration())
        return model, folder

    return fitted


def calibrated(saved: Path, folder: Path, calibration: Calibration) -> Model:
    """Copy a saved model with another calibration, which is faster than to export it again."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["calibration"] = asdict(calibration)

    return load(altered(saved, folder, change))


@pytest.fixture(scope="session", params=KINDS)
def trained(request: pytest.FixtureRequest, make: Make) -> tuple[Fitted, Path]:
    """A model and its saved folder, without a calibration."""
    return make(request.param, None)


@pytest.fixture(scope="session")
def saved(trained: tuple[Fitted, Path]) -> Path:
    return trained[1]


@pytest.fixture(scope="session")
def model(saved: Path) -> Model:
    return load(saved)


@pytest.fixture(scope="session", params=KINDS)
def reading(request: pytest.FixtureRequest, make: Make) -> tuple[Fitted, Path]:
    return make(request.param, CONTEXT_WEIGHTS)
