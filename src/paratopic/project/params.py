"""Read and check params.yaml, with one frozen dataclass for each section.

The sections of the kinds of model are those that `kinds` names. Unknown, missing and ill-typed keys
are errors that name the key. There are no defaults here: every value is in params.yaml, where
`dvc params diff` and `dvc exp run -S` see it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

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
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node

from paratopic.project.errors import UserError, did_you_mean
from paratopic.project.kinds import KINDS, named_object
from paratopic.project.sources import Source
from paratopic.project.topics import TieRule, Topic, Topics

# Shares of the most confident predictions that may be called sure.
SHARES = 1.0, 0.8, 0.6, 0.4, 0.2
SECTION = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Section = TypeVar("Section")
# Most aliases (*name) of params.yaml: nested ones stand for more values than there is time to read.
MOST_ALIASES = 20
_SURROGATE = re.compile("[\ud800-\udfff]")  # halves of characters that YAML can carry
# What an entry of a list may be instead of a str, by the names that pydantic gives.
_ENTRIES: dict[str | int, type] = {"Topic": Topic, "Source": Source}


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("lists a model twice")
    return names


def _known(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"is no kind of model; there are {', '.join(KINDS)}")
    return name


ModelName = Annotated[str, AfterValidator(_known)]
Models = Annotated[tuple[ModelName, ...], Field(min_length=1), AfterValidator(_distinct)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=SECTION)
class Prepare:
    """Where paragraphs and their labels come from; a source that is a string is a path."""

    sources: Annotated[tuple[Source | str, ...], Field(min_length=1)]
    labels: str | None
    no_topic: tuple[str, ...]
    ties: TieRule
    skip_boilerplate: bool

    @property
    def paths(self) -> list[str]:
        """The files, folders and globs of the sources."""
        return [source if isinstance(source, str) else source.path for source in self.sources]


@dataclass(frozen=True, config=SECTION)
class Labels:
    """Which annotators are weak sources: patterns of their names, such as llm-*."""

    weak: tuple[Annotated[str, Field(min_length=1)], ...]

    def is_weak(self, annotator: str) -> bool:
        """Whether an annotator is a weak source.

        >>> Labels(("llm-*",)).is_weak("llm-qwen3")
        True
        """
        return any(fnmatchcase(annotator, pattern) for pattern in self.weak)


def _check_holdout(value: object) -> object:
    # A union would be refused with a message for each of its types.
    share = isinstance(value, float) and 0 < value <= 0.5
    if not (share or value in ("auto", None)):
        raise ValueError("should be auto, null, or a share above 0 and at most 0.5")
    return value


def _check_repeats(value: object) -> object:
    if not (value == "auto" or (type(value) is int and value >= 1)):
        raise ValueError("should be auto, or a number of at least 1")
    return value


# `split.n_repeats: auto` deals so many labelled paragraphs and more once, and fewer so often. What
# other labels would change is much more than what other folds of the same labels do.
SEVERAL, REPEATS = 50, 3


@dataclass(frozen=True, config=SECTION)
class Split:
    """Repeated stratified folds, or a single held-out share for big tables."""

    n_folds: Annotated[int, Field(ge=2)]
    n_repeats: Annotated[int | Literal["auto"], BeforeValidator(_check_repeats)]
    holdout: Annotated[float | Literal["auto"] | None, BeforeValidator(_check_holdout)]

    def repeats(self, n_labelled: int) -> int:
        """How often n labelled paragraphs are dealt to folds."""
        if self.n_repeats == "auto":
            return REPEATS if n_labelled < SEVERAL else 1
        return self.n_repeats


@dataclass(frozen=True, config=SECTION)
class Calibrate:
    """The promise that a share of sure predictions is right, with a probability that it holds."""

    precision: Fraction
    confidence: Fraction

    @property
    def risk(self) -> float:
        """Probability with which each of the `SHARES` may break the promise."""
        return (1 - self.confidence) / len(SHARES)

    @property
    def least_groups(self) -> int:
        """Number of groups with sure predictions, all of them right, that it takes at least.

        >>> Calibrate(0.9, 0.95).least_groups
        44
        """
        return math.ceil(math.log(self.risk) / math.log(self.precision))


@dataclass(frozen=True, config=SECTION)
class Evaluate:
    """The intervals around the figures."""

    confidence: Fraction
    n_draws: Annotated[int, Field(ge=100)]


@dataclass(frozen=True, config=SECTION)
class Compare:
    """The paired test."""

    n_permutations: Annotated[int, Field(ge=100)]


@dataclass(frozen=True, config=SECTION)
class Track:
    """The MLflow experiment that runs are logged to."""

    experiment: str


@dataclass(frozen=True, config=SECTION)
class Params:
    """All of params.yaml, with the sections of the kinds of model by their names."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    models: Models
    license: Annotated[str, Field(min_length=1)] | None
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")] | None
    unit: Annotated[str, Field(pattern=r"^\w[\w -]*(/\w[\w -]*)?$")]
    topics: Topics
    prepare: Prepare
    labels: Labels
    split: Split
    calibrate: Calibrate
    evaluate: Evaluate
    compare: Compare
    track: Track
    sections: Mapping[str, object] = field(default_factory=dict)

    @property
    def hub(self) -> dict[str, Any]:
        """What hubs are told of the texts: their license and language; None where not given."""
        return {"license": self.license, "language": self.language}

    def section(self, kind: str) -> Any:
        """The section of a kind of model, an object of the kind's `settings`."""
        return self.sections[kind]


def read_params(path: Path) -> Params:
    """Read and check params.yaml.

    Raises
    ------
    UserError
        The file is missing, is not UTF-8 or is not YAML, or a key is unknown, missing, given twice
        or ill-typed.
    """
    return parse_params(read_text(path), path)


def parse_params(text: str, path: Path) -> Params:
    """Read and check the text of params.yaml; see `read_params`."""
    values = parse_yaml(text, path)
    sections = {}
    if isinstance(values, dict):
        sections = {name: values.pop(name) for name in KINDS if name in values}
    params, messages = _checked(Params, values, ())
    for name, section in sections.items():
        settings = named_object(KINDS[name].settings)
        sections[name], more = _checked(settings, section, (name,))
        messages += more
    if params is not None:
        messages += [f"{n}: this key is missing" for n in params.models if n not in sections]
    if params is None or messages:
        raise UserError("\n".join(f"{path}: {message}" for message in messages))
    return replace(params, sections=sections)


def with_settings(params: Params, kind: str, settings: Mapping[str, object]) -> Params:
    """Replace some settings of a kind of model.

    Raises
    ------
    UserError
        The kind has no such setting, or a value is ill-typed.
    """
    values = asdict(params.section(kind)) | {**settings}
    section, messages = _checked(named_object(KINDS[kind].settings), values, (kind,))
    if messages:
        raise UserError("\n".join(messages))
    return replace(params, sections={**params.sections, kind: section})


def _checked(
    section: type[Section], values: object, place: tuple[str, ...]
) -> tuple[Section | None, list[str]]:
    """Values as the section that they are meant for; None, and messages, where they are not."""
    try:
        # Strict validation of JSON still takes a list for a tuple and 1 for 1.0.
        return TypeAdapter(section).validate_json(json.dumps(values)), []
    except ValidationError as error:
        return None, _messages(error, section, place)


class _Constructor(SafeConstructor):
    """Names the line of a value that cannot be read, as the date 2025-99-99."""

    def construct_object(self, node: Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError) as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from None


def read_text(path: Path) -> str:
    """Read the text of params.yaml with its line ends.

    Raises
    ------
    UserError
        The file is missing, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UserError(
            f"this folder is not a paratopic project, because it has no {path}: run this in a "
            "project's folder, or start a project with `paratopic init`"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise UserError(f"{path}, line {line}: is not UTF-8; save the file as UTF-8") from None


def parse_yaml(text: str, path: Path) -> object:
    """Values of the text of params.yaml; a `UserError` names the line that is not YAML."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        if sum(isinstance(event, AliasEvent) for event in yaml.parse(text)) > MOST_ALIASES:
            problem = f"it has over {MOST_ALIASES} aliases (*name): write out what they repeat"
            raise ConstructorError(None, None, problem)
        return _plain(yaml.load(text), f"{path}")
    except UserError:
        raise
    except RecursionError:
        raise UserError(f"{path} is nested too deeply, or a part of it contains itself") from None
    except Exception as error:  # a YAMLError, but of some files ruamel raises others
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or str(error)
        hint = "; indent with spaces, not tabs" if r"'\t'" in problem else ""
        raise UserError(f"{where} is not valid YAML: {_short(problem)}{hint}") from None


def _plain(value: object, where: str) -> object:
    """The value, if it has nothing but what JSON has too: YAML's dates and sets are refused."""
    match value:
        case dict():
            for name, item in value.items():
                if not isinstance(name, str):
                    key = _short(repr(name))
                    raise UserError(f"{where}: {key} is not the name of a key; write it in quotes")
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


def _messages(error: ValidationError, section: type, place: tuple[str, ...]) -> list[str]:
    """One message for each key: 'transformer.epochs: Input should be a valid integer (got "x")'."""
    messages = []
    for item in error.errors():
        # An entry of a list is an object or a str: what is wrong with it as an object is said.
        parts = [str(part) for part in (*place, *item["loc"]) if part not in _ENTRIES]
        key = ".".join(parts) or "the file"
        match item["type"]:
            case "string_type" if item["loc"][-1] == "str":
                continue
            case "too_short" if item["input"]:  # but for its entries, which are refused themselves
                continue
            case "unexpected_keyword_argument":
                *parents, name = item["loc"]
                problem = f"unknown key{did_you_mean(str(name), _known_keys(section, parents))}"
            case "missing" if item["loc"][-2:-1] == ("Topic",) and len(item["input"]) == 1:
                ((name, words),) = item["input"].items()
                problem = f'write "- name: {name}", and on a line below it "definition: {words}"'
            case "missing":
                problem = "this key is missing"
            case _:
                given = _short(json.dumps(item["input"]))
                problem = f"{item['msg'].removeprefix('Value error, ')} (got {given})"
        messages.append(f"{key}: {problem}")
    return messages


def _short(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:100]} …"


def _known_keys(section: type, parents: Sequence[str | int]) -> list[str]:
    """Keys beside an unknown one: `Params`, ["split"] → ["n_folds", "n_repeats", "holdout"]."""
    if parents and parents[-1] in _ENTRIES:
        return [item.name for item in fields(_ENTRIES[parents[-1]])]
    if len(parents) > 1:
        return []
    kind = get_type_hints(section)[str(parents[0])] if parents else section
    return [item.name for item in fields(kind)] + ([] if parents or section != Params else [*KINDS])
