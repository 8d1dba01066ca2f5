"""Read and check params.yaml, with one frozen dataclass for each section.

Unknown, missing and ill-typed keys are errors that name the key. There are no defaults here: every
value is in params.yaml, where `dvc params diff` and `dvc exp run -S` see it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from paratopic.project.errors import UserError
from paratopic.project.paths import PARAMS
from paratopic.project.topics import Topics, nearest

_SECTION = ConfigDict(extra="forbid", strict=True)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("lists a model twice")
    return names


ModelName = Literal["baseline", "transformer"]
Models = Annotated[tuple[ModelName, ...], Field(min_length=1), AfterValidator(_distinct)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=_SECTION)
class Prepare:
    """Where paragraphs and their labels come from."""

    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    labels: str | None
    no_topic: tuple[str, ...]


@dataclass(frozen=True, config=_SECTION)
class Split:
    """Repeated stratified folds, or a single held-out share for big tables."""

    n_folds: Annotated[int, Field(ge=2)]
    n_repeats: Count
    holdout: Annotated[float, Field(gt=0, le=0.5)] | None


@dataclass(frozen=True, config=_SECTION)
class Baseline:
    """The baseline: TF-IDF features and logistic regression."""

    word_ngrams: tuple[Count, Count]
    char_ngrams: tuple[Count, Count]
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    inner_folds: Annotated[int, Field(ge=2)]


@dataclass(frozen=True, config=_SECTION)
class Transformer:
    """The transformer: an encoder and its fine-tuning."""

    encoder: str
    device: Literal["auto", "cpu", "cuda", "mps"]
    max_tokens: Annotated[int, Field(ge=16)]
    train_tokens: Annotated[int, Field(ge=16)]
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Count
    learning_rate: Positive


@dataclass(frozen=True, config=_SECTION)
class Calibrate:
    """What is promised of sure predictions."""

    precision: Share


@dataclass(frozen=True, config=_SECTION)
class Evaluate:
    """The intervals around the figures."""

    confidence: Share
    n_draws: Annotated[int, Field(ge=100)]


@dataclass(frozen=True, config=_SECTION)
class Compare:
    """The paired test and the champion rule."""

    min_lead: Annotated[float, Field(ge=0, lt=1)]
    n_permutations: Annotated[int, Field(ge=100)]


@dataclass(frozen=True, config=_SECTION)
class Track:
    """The MLflow experiment that runs are logged to."""

    experiment: str


@dataclass(frozen=True, config=_SECTION)
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


def read_params(path: Path = PARAMS) -> Params:
    """Read and check params.yaml.

    Raises
    ------
    UserError
        The file is missing or is not YAML, or a key is unknown, missing or ill-typed.
    """
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} not found: run this in the project's root") from None
    except YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    try:
        # Strict validation of JSON still takes a list for a tuple and 1 for 1.0.
        return TypeAdapter(Params).validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError("\n".join(f"{path}: {line}" for line in _messages(error))) from None


def _messages(error: ValidationError) -> list[str]:
    """One message for each key: 'transformer.epochs: Input should be a valid integer (got "x")'."""
    messages = []
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        match item["type"]:
            case "unexpected_keyword_argument":
                *parents, name = item["loc"]
                messages.append(f"{key}: unknown key{nearest(str(name), _known_keys(parents))}")
            case "missing":
                messages.append(f"{key}: this key is missing")
            case _:
                messages.append(f"{key}: {item['msg']} (got {json.dumps(item['input'])})")
    return messages


def _known_keys(parents: Sequence[str | int]) -> list[str]:
    """Keys beside an unknown one: ["split"] → ["n_folds", "n_repeats", "holdout"]."""
    if len(parents) > 1:
        return []
    section = get_type_hints(Params)[str(parents[0])] if parents else Params
    return [field.name for field in fields(section)]
