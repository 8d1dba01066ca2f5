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

    word_ngrams: tuple[NgramSize, NgramSize] = (1, 2)
    """Fewest and most words of a feature. If most texts have no blanks between words, such as
    Chinese or Thai ones, all features are of characters."""
    char_ngrams: tuple[NgramSize, NgramSize] = (3, 5)
    """Fewest and most characters of a feature. Without blanks between words, the fewest is 1."""
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 1.0, 10.0, 100.0)
    """Candidates for C of the logistic regression. Inside each training part, the one with the
    highest macro-F1 is chosen among those whose log loss is no worse than chance explains. In mode
    multi it is the middle one."""
    inner_folds: Annotated[int, Field(ge=2)] = 3
    """Number of folds of a training part in which C is chosen."""


@dataclass(frozen=True)
class Fitting:
    """Constants of the fit, which params.yaml does not have."""

    least_texts_to_drop_terms: int = 2000
    """Number of texts from which on terms of a single text are dropped. They are more than half of
    the terms, and have next to no influence."""
    most_to_choose: int = 2000
    """Limit of examples on which C is chosen. The best C hardly depends on their number: it was the
    same on 1,000 and on 8,000 bills."""


FITTING = Fitting()
