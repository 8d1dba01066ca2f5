"""The only reader of params.yaml: one frozen dataclass a section.

Unknown, missing and ill-typed keys are refused by name. No default lives here: every value is in
params.yaml, where `dvc params diff` and `dvc exp run -S` see it.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from paratopic.project.errors import UserError
from paratopic.project.topics import Topics, nearest

PATH = Path("params.yaml")

_section = ConfigDict(extra="forbid", strict=True)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("names a model twice")
    return names


ModelName = Literal["baseline", "transformer"]

Models = Annotated[tuple[ModelName, ...], Field(min_length=1), AfterValidator(_distinct)]

Share = Annotated[float, Field(gt=0, lt=1)]

Positive = Annotated[float, Field(gt=0)]

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=_section)
class Prepare:
    """Where paragraphs and their labels come from."""

    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    labels: str | None
    no_topic: tuple[str, ...]


@dataclass(frozen=True, config=_section)
class Split:
    """Repeated stratified folds, or one held-out share for big tables."""

    n_folds: Annotated[int, Field(ge=2)]
    n_repeats: Count
    holdout: Annotated[float, Field(gt=0, le=0.5)] | None


@dataclass(frozen=True, config=_section)
class Baseline:
    """TF-IDF and logistic regression."""

    word_ngrams: tuple[Count, Count]
    char_ngrams: tuple[Count, Count]
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    inner_folds: Annotated[int, Field(ge=2)]


@dataclass(frozen=True, config=_section)
class Transformer:
    """Fine-tuning of an encoder."""

    encoder: str
    device: Literal["auto", "cpu", "cuda", "mps"]
    max_tokens: Annotated[int, Field(ge=16)]
    train_tokens: Annotated[int, Field(ge=16)]
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Count
    learning_rate: Positive


@dataclass(frozen=True, config=_section)
class Calibrate:
    """When a prediction names a topic."""

    precision: Share


@dataclass(frozen=True, config=_section)
class Evaluate:
    """Intervals."""

    confidence: Share
    n_draws: Annotated[int, Field(ge=100)]


@dataclass(frozen=True, config=_section)
class Compare:
    """The paired test and the champion rule."""

    alpha: Share
    n_permutations: Annotated[int, Field(ge=100)]


@dataclass(frozen=True, config=_section)
class Track:
    """Where runs are listed in MLflow."""

    experiment: str


@dataclass(frozen=True, config=_section)
class Params:
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    models: Models
    launcher: Annotated[str, Field(min_length=1)]
    topics: Topics
    prepare: Prepare
    split: Split
    baseline: Baseline
    transformer: Transformer
    calibrate: Calibrate
    evaluate: Evaluate
    compare: Compare
    track: Track


def read_params(path: Path = PATH) -> Params:
    """Read and check params.yaml.

    Raises
    ------
    UserError
        The file is missing or is no YAML, or a key is unknown, missing or ill-typed.
    """
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} not found: run this in the project's root") from None
    except YAMLError as error:
        raise UserError(f"{path} is no valid YAML: {error}") from None
    try:
        # By way of JSON, whose strict reading still lets a list be a tuple and 1 be 1.0.
        return TypeAdapter(Params).validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError("\n".join(f"{path}: {line}" for line in _told(error))) from None


def _told(error: ValidationError) -> list[str]:
    """One line an error: 'transformer.epochs: Input should be a valid integer (got "x")'."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        match item["type"]:
            case "unexpected_keyword_argument":
                *parents, name = item["loc"]
                sections: dict[str, type] = get_type_hints(Params)
                section = sections[str(parents[0])] if len(parents) == 1 else Params
                known = [] if len(parents) > 1 else [field.name for field in fields(section)]
                lines.append(f"{key}: unknown key{nearest(str(name), known)}")
            case "missing":
                lines.append(f"{key}: this key is missing")
            case _:
                lines.append(f"{key}: {item['msg']} (got {json.dumps(item['input'])})")
    return lines
