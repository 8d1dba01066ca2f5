"""A tiny trained model of each kind, in memory and in its folder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

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
from tests.samples import KINDS, READING, examples, fit, fit_reading, in_articles

Make = Callable[..., tuple[Fitted, Path]]


@pytest.fixture(scope="session")
def make(rows: pd.DataFrame, topics: Topics, tiny_encoder: Path, shared_folder: Path) -> Make:
    """Fit a model of a kind once; all processes that test side by side have one saved folder."""

    @functools.cache
    def fitted(
        kind: str, weights: ContextWeights | None, mode: ModeName = "single"
    ) -> tuple[Fitted, Path]:
        data, asked = examples(rows, topics.names), replace(topics, mode=mode)
        if weights is None:
            model = fit(kind, data, asked, tiny_encoder)
        else:
            data = replace(data, texts=numbered(in_articles(rows)))
            model = fit_reading(kind, data, asked, tiny_encoder, weights)
        folder = shared_folder / ("trained" if weights is None else "reading") / mode / kind
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                model.save(folder, Calibration())
        return model, folder

    return fitted


def calibrated(saved: Path, folder: Path, calibration: Calibration) -> Model:
    """A saved model with another calibration: saving it again would export its encoder again."""
    return load(altered(saved, folder, lambda of: of.update(calibration=asdict(calibration))))


@pytest.fixture(scope="session", params=KINDS)
def trained(request: pytest.FixtureRequest, make: Make) -> tuple[Fitted, Path]:
    """A model and the folder that it is saved in, without a calibration."""
    return make(request.param, None)


@pytest.fixture(scope="session")
def saved(trained: tuple[Fitted, Path]) -> Path:
    return trained[1]


@pytest.fixture(scope="session")
def model(saved: Path) -> Model:
    return load(saved)


@pytest.fixture(scope="session", params=KINDS)
def reading(request: pytest.FixtureRequest, make: Make) -> tuple[Fitted, Path]:
    return make(request.param, READING)
