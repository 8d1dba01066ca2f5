"""Read and check params.yaml and the codebook, with one frozen dataclass for each section.

`kinds` names the sections of the kinds of model. An unknown or ill-typed key is an error that names
the key, and so is a missing section, which DVC refuses too. A missing key has the default of the
dataclass. docs/settings.md is made from the docstrings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields, is_dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic.functional_validators import AfterValidator, BeforeValidator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node

from paratopic.project.errors import UserError, closest_word_hint
from paratopic.project.files import Paths, read_text
from paratopic.project.kinds import KINDS
from paratopic.project.source_settings import Source
from paratopic.project.topics import TieRule, Topic, Topics

# Shares of the most confident predictions that may be called sure.
SURE_SHARES = 1.0, 0.8, 0.6, 0.4, 0.2
SECTION = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Section = TypeVar("Section")
# The number of aliases (*name) is limited, because nested ones stand for very many values.
MOST_ALIASES = 20
# Classes of list entries that may also be a str, by the names that pydantic gives them.
_ENTRY_TYPES: dict[str | int, type] = {"Topic": Topic, "Source": Source}


def _check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("lists a model twice")
    return names


def _check_kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"is no kind of model; there are {', '.join(KINDS)}")
    return name


ModelName = Annotated[str, AfterValidator(_check_kind)]
Models = Annotated[tuple[ModelName, ...], Field(min_length=1), AfterValidator(_check_distinct)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=SECTION)
class Prepare:
    """Sources of paragraphs and their labels."""

    sources: Annotated[tuple[Source | str, ...], Field(min_length=1)] = ("seeds",)
    """Articles, folders and globs of them, and labelled tables: paths, or keys of a table."""
    labels: str | None = "seeds/labels.csv"
    """Hand labels of the articles' paragraphs; null for none."""
    no_topic: tuple[str, ...] = ()
    """Labels of a table that mean "none of the topics"."""
    ties: TieRule = "leave_out"
    """Rule for ties, in which as many annotators give a paragraph one topic as another.
    leave_out: it has no label until another vote breaks the tie. first: the topic that comes
    first in the codebook counts; in mode multi, all topics that half of the annotators chose."""
    skip_boilerplate: bool = True
    """Whether boilerplate in articles (references, fragments, and texts that recur in four
    articles or more) is left out of draws and suggestions for labels, and of shares."""

    @property
    def paths(self) -> list[str]:
        """The files, folders and globs of the sources."""
        return [source if isinstance(source, str) else source.path for source in self.sources]


@dataclass(frozen=True, config=SECTION)
class Labels:
    """Weak sources in the file of labels."""

    weak: tuple[Annotated[str, Field(min_length=1)], ...] = ("llm-*",)
    """Annotators in the file of labels that are not people but weak sources, such as language
    models and other tools, by name or by a pattern such as llm-*. Models are trained on their
    votes, weighted by their agreement with people, but not measured on them."""

    def is_weak(self, annotator: str) -> bool:
        """Whether an annotator is a weak source.

        >>> Labels(("llm-*",)).is_weak("llm-qwen3")
        True
        """
        return any(fnmatchcase(annotator, pattern) for pattern in self.weak)


def _check_holdout(value: object) -> object:
    # Pydantic would refuse a union with one message for each of its types.
    is_share = isinstance(value, float) and 0 < value <= 0.5
    if not (is_share or value in ("auto", None)):
        raise ValueError("should be auto, null, or a share above 0 and at most 0.5")
    return value


def _check_repeats(value: object) -> object:
    if not (value == "auto" or (type(value) is int and value >= 1)):
        raise ValueError("should be auto, or a number of at least 1")
    return value


# `split.n_repeats: auto` deals fewer labelled paragraphs than this to folds so often, and more of
# them once. Other folds change the figures much less than other labels would.
FEW_LABELS, FEW_LABEL_REPEATS = 50, 3


@dataclass(frozen=True, config=SECTION)
class Split:
    """Repeated stratified folds, or a single held-out share for big tables."""

    n_folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds."""
    n_repeats: Annotated[int | Literal["auto"], BeforeValidator(_check_repeats)] = "auto"
    """Number of times that all labelled paragraphs are dealt to folds. auto deals them three
    times, and once from 50 labelled paragraphs on."""
    holdout: Annotated[float | Literal["auto"] | None, BeforeValidator(_check_holdout)] = "auto"
    """Share of the labels that is held out once, such as 0.2, instead of folds; null means
    folds. auto holds out 0.2 from 2,000 labelled paragraphs on: 400 or more are enough to
    measure with, and folds would take five times as long."""

    def repeats(self, n_labelled: int) -> int:
        """The number of times that n labelled paragraphs are dealt to folds."""
        if self.n_repeats == "auto":
            return FEW_LABEL_REPEATS if n_labelled < FEW_LABELS else 1
        return self.n_repeats


@dataclass(frozen=True, config=SECTION)
class Calibrate:
    """Thresholds of predictions, and the promised share of sure predictions that are right."""

    precision: Fraction = 0.9
    """Smallest share of sure predictions that is promised to be right. No prediction is sure with
    too few labels, or in mode multi."""
    confidence: Fraction = 0.95
    """Probability that the promise holds."""
    caution: Positive = 1.0
    """Cost of a wrong topic relative to a missed one. With 2, fewer topics are predicted and more
    of them are right; with 0.5, fewer are missed."""

    @property
    def risk(self) -> float:
        """Probability with which each of the `SURE_SHARES` may break the promise."""
        return (1 - self.confidence) / len(SURE_SHARES)

    @property
    def least_groups(self) -> int:
        """The smallest number of groups, all with right predictions, that can keep the promise.

        >>> Calibrate(0.9, 0.95).least_groups
        44
        """
        return math.ceil(math.log(self.risk) / math.log(self.precision))


@dataclass(frozen=True, config=SECTION)
class Evaluate:
    """Intervals of the figures."""

    confidence: Fraction = 0.95
    """Confidence of every interval."""
    n_draws: Annotated[int, Field(ge=100)] = 2000
    """Number of resamples for intervals."""


@dataclass(frozen=True, config=SECTION)
class Compare:
    """The paired test."""

    n_permutations: Annotated[int, Field(ge=100)] = 10_000
    """Number of random swaps of two models' predictions, for the p-value of their difference."""


@dataclass(frozen=True, config=SECTION)
class Track:
    """MLflow."""

    experiment: Annotated[str, Field(pattern=r"^[^'\"/:]+$")] = "paratopic"
    """The experiment that runs are logged to, and the name of the registered model."""


@dataclass(frozen=True, config=SECTION)
class Params:
    """All of params.yaml with the codebook; the sections of the kinds of model by their names."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Seed of all random draws: folds, batches, paragraphs without a label, resamples."""
    models: Models
    """Kinds of model to train and compare."""
    license: Annotated[str, Field(min_length=1)] | None
    """License of the models, such as apache-2.0, for their cards; null for none."""
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")] | None
    """Language of the texts, such as en, for the models' cards; null if it is unknown."""
    unit: Annotated[str, Field(pattern=r"^\w[\w -]*(/\w[\w -]*)?$")]
    """Noun for a text in messages and the report: paragraph, or another one such as sentence or
    tweet. If its plural is not the regular one of English, write it after a slash: Satz/Sätze."""
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
        """Metadata for model hubs: license and language of the texts, or None."""
        return {"license": self.license, "language": self.language}

    def section(self, name: str) -> Any:
        """A section by its name; the section of a kind of model has the kind's class `settings`."""
        return self.sections[name] if name in KINDS else getattr(self, name)

    @property
    def encoders(self) -> dict[str, str]:
        """Kind of model → its encoder; "" for a kind without an encoder, or not in `models`."""
        encoders = {kind: getattr(self.section(kind), "encoder", "") for kind in self.models}
        return dict.fromkeys(KINDS, "") | encoders

    def with_encoders(self, encoders: Mapping[str, str]) -> Params:
        """Replace the encoders of kinds of model; "" leaves a kind as it is."""
        sections: dict[str, Any] = {**self.sections}
        for kind in sections:
            if name := encoders.get(kind):
                sections[kind] = replace(sections[kind], encoder=name)
        return replace(self, sections=sections)


@dataclass(frozen=True, config=SECTION)
class Codebook:
    """The file of the codebook, with the fields `codebook` and `retired` of `Topics`."""

    topics: tuple[Topic | str, ...]
    retired: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Topics("single", self.topics, self.retired)  # the constructor checks them


# Names of the sections.
SECTIONS = {name for name, kind in get_type_hints(Params).items() if is_dataclass(kind)} | {*KINDS}


def read_params(path: Path) -> Params:
    """Read and check params.yaml, and the codebook of its project.

    Raises
    ------
    UserError
        A file is missing, is not UTF-8 or is not YAML, or a key is unknown, given twice or has a
        wrong value, or a section is missing. The message has a line for each wrong key.
    """
    values, sections = _read_yaml(path), {}
    if isinstance(values, dict):
        # A section without keys is null in YAML.
        values |= {name: {} for name in SECTIONS & values.keys() if values[name] is None}
        sections = {name: values.pop(name) for name in KINDS if name in values}
        if isinstance(topics := values.get("topics"), dict):
            values["topics"] = _with_codebook(topics, path)
    params = _validate(Params, values, f"{path}: ")
    for name in params.models:
        if name not in sections:
            raise UserError(f"{path}: {name}: this key is missing")
    for name, section in sections.items():
        sections[name] = _validate(resolve_name(KINDS[name].settings), section, f"{path}: ", name)
    return replace(params, sections=sections)


def _with_codebook(topics: dict[str, object], params: Path) -> dict[str, object]:
    """Section `topics` of the file `params`, with the topics and `retired` of the codebook's file.

    A section that has them stays as it is. A `UserError` refuses topics in both files, or in none.
    """
    path, old_keys = Paths(params.parent).codebook, topics.keys() & {"codebook", "retired"}
    if old_keys and path.exists():
        raise UserError(f"{params} (topics.codebook) and {path} both have topics: remove one")
    if old_keys:  # old projects have the codebook in params.yaml
        return topics
    codebook = asdict(_validate(Codebook, _read_yaml(path), f"{path}: "))
    return topics | {"codebook": codebook["topics"], "retired": codebook["retired"]}


def default_params(topics: Topics, seed: int, kind: str, settings: Mapping[str, object]) -> Params:
    """Make the default params for some topics and one kind of model, with some of its settings.

    Raises
    ------
    UserError
        The kind has no such setting, or a value is ill-typed.
    """
    section = _validate(resolve_name(KINDS[kind].settings), {**settings}, kind=kind)
    sections = Prepare(), Labels(), Split(), Calibrate(), Evaluate(), Compare(), Track()
    return Params(seed, (kind,), None, None, "paragraph", topics, *sections, {kind: section})


def _validate(section: type[Section], values: object, where: str = "", kind: str = "") -> Section:
    """Convert parsed values to an object of a section; a `UserError` has a line for each wrong key.

    A line begins with `where`, then `kind`, the kind of model whose section this is, then the key.
    """
    try:
        # Strict validation of JSON still takes a list for a tuple and 1 for 1.0.
        return TypeAdapter(section).validate_json(json.dumps(values))
    except ValidationError as error:
        lines = (f"{where}{message}" for message in _messages(error, section, kind))
        raise UserError("\n".join(lines)) from None


class _Constructor(SafeConstructor):
    """Accepts types of JSON, and names the line of other values, such as the date 2025-09-15."""

    def construct_object(self, node: Node, deep: bool = False) -> object:
        """Construct a value of a JSON type; a ConstructorError refuses others, and keys not str."""
        where = node.start_mark
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # raises an error for a surrogate
            elif not isinstance(value, (int, float, list, dict, type(None))):
                raise ValueError(f"{value} is a {type(value).__name__}; write a text in quotes")
            for key, _ in node.value if isinstance(node, MappingNode) else ():
                if key.tag.rpartition(":")[2] not in ("str", "merge"):
                    where = key.start_mark
                    raise ValueError(f"{key.value} is not the name of a key; write it in quotes")
        except (ValueError, ArithmeticError) as error:
            raise ConstructorError(None, None, str(error), where) from None
        return value


def _read_yaml(path: Path) -> object:
    """Values of JSON's types in a YAML file, None if empty; a `UserError` names file and line."""
    text, yaml = read_text(path), YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        if sum(isinstance(event, AliasEvent) for event in yaml.parse(text)) > MOST_ALIASES:
            problem = f"it has over {MOST_ALIASES} aliases (*name): write out what they repeat"
            raise ConstructorError(None, None, problem)
        values: object = yaml.load(text)
        json.dumps(values)  # raises an error for values that contain themselves
        return values
    except RecursionError:
        raise UserError(f"{path} is nested too deeply") from None
    except Exception as error:  # ruamel raises other errors than YAMLError for some files
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or str(error)
        hint = "; indent with spaces, not tabs" if r"'\t'" in problem else ""
        raise UserError(f"{where} cannot be read: {_cut(problem)}{hint}") from None


def _messages(error: ValidationError, section: type, kind: str) -> list[str]:
    """One message for each wrong key, after `kind` if any: "transformer.epochs: unknown key"."""
    messages = []
    for item in error.errors():
        # An entry of a list is an object or a str: the message describes its errors as an object.
        parts = [str(part) for part in item["loc"] if part not in _ENTRY_TYPES]
        key = ".".join(filter(None, [kind, *parts])) or "the file"
        match item["type"]:
            case "string_type" if item["loc"][-1] == "str":
                continue
            case "too_short" if item["input"]:  # its entries have errors of their own
                continue
            case "unexpected_keyword_argument":
                *parents, name = item["loc"]
                hint = closest_word_hint(str(name), _known_keys(section, parents))
                problem = f"unknown key{hint}"
            case "missing" if item["loc"][-2:-1] == ("Topic",) and len(item["input"]) == 1:
                ((name, words),) = item["input"].items()
                problem = f'write "- name: {name}", and on a line below it "definition: {words}"'
            case "missing":
                problem = "this key is missing"
            case _:
                value = _cut(json.dumps(item["input"]))
                problem = f"{item['msg'].removeprefix('Value error, ')} (got {value})"
        messages.append(f"{key}: {problem}")
    return messages


def _cut(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:100]} …"


def _known_keys(section: type, parents: Sequence[str | int]) -> list[str]:
    """Keys below `parents`, [] if unknown: `Params`, ["split"] → ["n_folds", "n_repeats", ...]."""
    if parents and parents[-1] in _ENTRY_TYPES:
        return [item.name for item in fields(_ENTRY_TYPES[parents[-1]])]
    if len(parents) > 1:
        return []
    parent = get_type_hints(section)[str(parents[0])] if parents else section
    keys = [item.name for item in fields(parent)]
    return [*keys, *KINDS] if parent is Params else keys
