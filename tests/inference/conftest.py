"""A tiny trained model of each kind, in memory and in its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paratopic.inference.calibration import Calibration
from paratopic.project.topics import Topics
from paratopic.training.examples import Fitted
from tests.samples import KINDS, READING, examples, fit, fit_reading, in_articles


@pytest.fixture(scope="session", params=KINDS)
def trained(
    request: pytest.FixtureRequest,
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Fitted, Path]:
    model = fit(request.param, examples(rows, topics.names), topics, tiny_encoder)
    return saved(model, tmp_path_factory.mktemp("models") / request.param)


@pytest.fixture(scope="session", params=KINDS)
def reading(
    request: pytest.FixtureRequest,
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Fitted, Path]:
    """A model that reads what stands around texts."""
    data = replace(examples(rows, topics.names), texts=in_articles(rows))
    model = fit_reading(request.param, data, topics, tiny_encoder, READING)
    return saved(model, tmp_path_factory.mktemp("reading") / request.param)


def saved(model: Fitted, folder: Path) -> tuple[Fitted, Path]:
    """The model and the folder that it is saved in, without a calibration."""
    model.save(folder, Calibration())
    return model, folder
