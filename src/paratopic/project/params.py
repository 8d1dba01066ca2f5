"""Read and check params.yaml, with one frozen dataclass for each section.

Unknown, missing and ill-typed keys are errors that name the key. There are no defaults here: every
value is in params.yaml, where `dvc params diff` and `dvc exp run -S` see it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor

from paratopic.project.errors import UserError
from paratopic.project.paths import PARAMS
from paratopic.project.topics import Topics, nearest

_SECTION = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_SURROGATE = re.compile("[\ud800-\udfff]")  # halves of characters that YAML can carry


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("lists a model twice")
    return names


ModelName = Literal["baseline", "transformer"]
Models = Annotated[tuple[ModelName, ...], Field(min_length=1), AfterValidator(_distinct)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NgramSize = Annotated[int, Field(ge=1, le=20)]  # models with longer ones are not loaded


@dataclass(frozen=True, config=_SECTION)
class Prepare:
    """Where paragraphs and their labels come from."""

    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    labels: str | None
    no_topic: tuple[str, ...]


def _check_holdout(value: object) -> object:
    # A union would be refused with a message for each of its types.
    share = isinstance(value, float) and 0 < value <= 0.5
    if not (share or value in ("auto", None)):
        raise ValueError("should be auto, null, or a share above 0 and at most 0.5")
    return value


@dataclass(frozen=True, config=_SECTION)
class Split:
    """Repeated stratified folds, or a single held-out share for big tables."""

    n_folds: Annotated[int, Field(ge=2)]
    n_repeats: Count
    holdout: Annotated[float | Literal["auto"] | None, BeforeValidator(_check_holdout)]


@dataclass(frozen=True, config=_SECTION)
class Baseline:
    """The baseline: TF-IDF features and logistic regression."""

    word_ngrams: tuple[NgramSize, NgramSize]
    char_ngrams: tuple[NgramSize, NgramSize]
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
    max_steps: Count
    batch_size: Count
    unlabelled: Annotated[int, Field(ge=0)]
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
    license: Annotated[str, Field(min_length=1)] | None
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
        The file is missing, is not UTF-8 or is not YAML, or a key is unknown, missing, given twice
        or ill-typed.
    """
    try:
        values = _plain(_read_yaml(path), f"{path}")
    except RecursionError:
        raise UserError(f"{path} is nested too deeply, or a part of it contains itself") from None
    try:
        # Strict validation of JSON still takes a list for a tuple and 1 for 1.0.
        return TypeAdapter(Params).validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError("\n".join(f"{path}: {line}" for line in _messages(error))) from None


class _Constructor(SafeConstructor):
    """Names the line of a value that cannot be read, as the date 2025-99-99."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError) as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from None


def _read_yaml(path: Path) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        return yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} not found: run this in the project's root") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise UserError(f"{path}, line {line}: is not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise
    except Exception as error:  # a YAMLError, but of some files ruamel raises others
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or str(error)
        hint = "; indent with spaces, not tabs" if r"'\t'" in problem else ""
        raise UserError(f"{where}: is not valid YAML: {_short(problem)}{hint}") from None


def _plain(value: object, where: str) -> object:
    """The value, if it has nothing but what JSON has too: YAML's dates and sets are refused."""
    match value:
        case dict():
            for name, item in value.items():
                if not isinstance(name, str):
                    raise UserError(f"{where}: {_short(repr(name))} is not the name of a key")
                _plain(name, where)
                _plain(item, f"{where}.{name}" if ": " in where else f"{where}: {name}")
        case list():
            for number, item in enumerate(value):
                _plain(item, f"{where}.{number}")
        case str() if _SURROGATE.search(value):
            raise UserError(f"{where}: {_short(ascii(value))} is not text")
        case str() | None | bool() | int() | float():
            pass
        case _:
            kind = type(value).__name__
            raise UserError(f"{where}: {_short(str(value))} is a {kind}; write a text in quotes")
    return value


def _messages(error: ValidationError) -> list[str]:
    """One message for each key: 'transformer.epochs: Input should be a valid integer (got "x")'."""
    messages = []
    for item in error.errors():
        # An entry of the codebook is a Topic or a str: what is wrong with it as a Topic is said.
        key = ".".join(str(part) for part in item["loc"] if part != "Topic") or "the file"
        match item["type"]:
            case "string_type" if item["loc"][-1] == "str":
                pass
            case "unexpected_keyword_argument":
                *parents, name = item["loc"]
                messages.append(f"{key}: unknown key{nearest(str(name), _known_keys(parents))}")
            case "missing":
                messages.append(f"{key}: this key is missing")
            case _:
                problem = item["msg"].removeprefix("Value error, ")
                messages.append(f"{key}: {problem} (got {_short(json.dumps(item['input']))})")
    return messages


def _short(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:100]} …"


def _known_keys(parents: Sequence[str | int]) -> list[str]:
    """Keys beside an unknown one: ["split"] → ["n_folds", "n_repeats", "holdout"]."""
    if len(parents) > 1:
        return []
    section = get_type_hints(Params)[str(parents[0])] if parents else Params
    return [field.name for field in fields(section)]
