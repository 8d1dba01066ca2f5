"""Transformers of the tiny encoder, one of them with the encoder as it came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paratopic.inference.modes import Calibration
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples, silent
from paratopic.transformer.fit import FittedTransformer, fit
from tests.samples import transformer_settings

Fit = Callable[..., FittedTransformer]
Untuned = tuple[FittedTransformer, Path]


@pytest.fixture(scope="session")
def fit_tiny(tiny_encoder: Path) -> Fit:
    def fitted(
        data: Examples, topics: Topics, advance: Advance = silent, **settings: Any
    ) -> FittedTransformer:
        return fit(data, topics, transformer_settings(tiny_encoder, **settings), 1, advance)

    return fitted


@pytest.fixture(scope="session")
def untuned(
    data: Examples, topics: Topics, fit_tiny: Fit, tmp_path_factory: pytest.TempPathFactory
) -> Untuned:
    model = fit_tiny(data, topics, epochs=0)
    folder = tmp_path_factory.mktemp("untuned") / "model"
    model.save(folder, Calibration())
    return model, folder
