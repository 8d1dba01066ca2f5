"""The section `baseline` of params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from paratopic.project.params import SECTION, Positive

NgramSize = Annotated[int, Field(ge=1, le=20)]


@dataclass(frozen=True, config=SECTION)
class Baseline:
    """The baseline: TF-IDF features and logistic regression."""

    word_ngrams: tuple[NgramSize, NgramSize]
    char_ngrams: tuple[NgramSize, NgramSize]
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    inner_folds: Annotated[int, Field(ge=2)]
