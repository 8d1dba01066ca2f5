"""A transformer whose encoder is as it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.inference.calibration import Calibration
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer
from tests.samples import transformer_settings


@pytest.fixture(scope="session")
def untuned(
    data: Examples, topics: Topics, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[transformer.FittedTransformer, Path]:
    """A model of no epochs, and its folder."""
    section = transformer_settings(tiny_encoder, epochs=0)
    model = transformer.fit(data, topics, section, 1)
    folder = tmp_path_factory.mktemp("untuned") / "model"
    model.save(folder, Calibration())
    return model, folder
