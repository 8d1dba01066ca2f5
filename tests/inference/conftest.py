"""A tiny trained model of each kind, in memory and in its folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paratopic.inference.calibration import Calibration
from paratopic.project.topics import Topics
from paratopic.training.examples import Fitted
from tests.samples import KINDS, examples, fit


@pytest.fixture(scope="session", params=KINDS)
def trained(
    request: pytest.FixtureRequest,
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Fitted, Path]:
    model = fit(request.param, examples(rows, topics.names), topics, tiny_encoder)
    folder = tmp_path_factory.mktemp("models") / request.param
    model.save(folder, Calibration())
    return model, folder
