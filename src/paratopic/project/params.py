"""Read and check params.yaml and the codebook, with one frozen dataclass for each section.

The sections of the kinds of model are those that `kinds` names. Unknown and ill-typed keys are
errors that name the key, and so is a missing section, which DVC refuses too. A key that is missing
in its section has the default of the dataclass. docs/settings.md is made from the docstrings.
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
from ruamel.yaml.nodes import MappingNode, Node

from paratopic.project.errors import UserError, did_you_mean
from paratopic.project.files import Paths, read_text
from paratopic.project.kinds import KINDS
from paratopic.project.source_settings import Source
from paratopic.project.topics import TieRule, Topic, Topics

# Shares of the most confident predictions that may be called sure.
SHARES = 1.0, 0.8, 0.6, 0.4, 0.2
SECTION = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Section = TypeVar("Section")
# Most aliases (*name) of a file: nested ones stand for more values than there is time to read.
MOST_ALIASES = 20
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
    """Where paragraphs and their labels come from."""

    sources: Annotated[tuple[Source | str, ...], Field(min_length=1)] = ("seeds",)
    """Articles, folders and globs of them, and labelled tables: paths, or keys of a table."""
    labels: str | None = "seeds/labels.csv"
    """Hand labels of the articles' paragraphs; null where there are none."""
    no_topic: tuple[str, ...] = ()
    """Labels of a table that mean "none of the topics"."""
    ties: TieRule = "leave_out"
    """What happens if as many annotators give a paragraph one topic as another. leave_out: it
    has no label until another answer settles the tie. first: the topic that comes first in the
    codebook counts; in mode multi, all topics that half of the annotators chose."""
    skip_boilerplate: bool = True
    """Whether boilerplate in articles (references, fragments, and texts that recur in four
    articles or more) is left out of what is drawn and suggested for labels, and of shares."""

    @property
    def paths(self) -> list[str]:
        """The files, folders and globs of the sources."""
        return [source if isinstance(source, str) else source.path for source in self.sources]


@dataclass(frozen=True, config=SECTION)
class Labels:
    """Which labels are weak."""

    weak: tuple[Annotated[str, Field(min_length=1)], ...] = ("llm-*",)
    """Annotators in the file of labels that are not people but weak sources, such as language
    models and other tools, by name or by a pattern such as llm-*. Their answers train models as
    far as they agree with people's, and measure nothing."""

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

    n_folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds."""
    n_repeats: Annotated[int | Literal["auto"], BeforeValidator(_check_repeats)] = "auto"
    """How often all labelled paragraphs are dealt to folds anew. auto does it three times, and
    once from 50 labelled paragraphs on."""
    holdout: Annotated[float | Literal["auto"] | None, BeforeValidator(_check_holdout)] = "auto"
    """Share of the labels that is held out once, such as 0.2, in place of folds; null means
    folds. auto holds out 0.2 from 2,000 labelled paragraphs on: 400 or more are enough to
    measure with, and folds would take five times as long."""

    def repeats(self, n_labelled: int) -> int:
        """How often n labelled paragraphs are dealt to folds."""
        if self.n_repeats == "auto":
            return REPEATS if n_labelled < SEVERAL else 1
        return self.n_repeats


@dataclass(frozen=True, config=SECTION)
class Calibrate:
    """When a topic is named, and the promise that a share of sure predictions is right."""

    precision: Fraction = 0.9
    """Share of the predictions called sure that is right. No prediction is, with too few labels,
    and in mode multi."""
    confidence: Fraction = 0.95
    """Probability that the promise holds."""
    caution: Positive = 1.0
    """How many times as bad a wrong topic is as a missed one. With 2, fewer topics are named and
    more of them are right; with 0.5, fewer are missed."""

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

    confidence: Fraction = 0.95
    """Confidence of every interval."""
    n_draws: Annotated[int, Field(ge=100)] = 2000
    """Number of resamples that intervals are made from."""


@dataclass(frozen=True, config=SECTION)
class Compare:
    """The paired test."""

    n_permutations: Annotated[int, Field(ge=100)] = 10_000
    """Random swaps of two models' answers, from which the p-value of their difference comes."""


@dataclass(frozen=True, config=SECTION)
class Track:
    """MLflow."""

    experiment: str = "paratopic"
    """The experiment that runs are logged to, and the name of the registered model."""


@dataclass(frozen=True, config=SECTION)
class Params:
    """All of params.yaml with the codebook; the sections of the kinds of model by their names."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """The one seed: folds, batches, the paragraphs without a label that are drawn, resampling."""
    models: Models
    """Which models to train and compare."""
    license: Annotated[str, Field(min_length=1)] | None
    """License of the models, such as apache-2.0, for their cards; null where none is given."""
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")] | None
    """Language of the texts, such as en, for the models' cards; null where it is not known."""
    unit: Annotated[str, Field(pattern=r"^\w[\w -]*(/\w[\w -]*)?$")]
    """What messages and the report call a text: paragraph, or another noun such as sentence or
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
        """What hubs are told of the texts: their license and language; None where not given."""
        return {"license": self.license, "language": self.language}

    def section(self, name: str) -> Any:
        """A section by its name; that of a kind of model is an object of the kind's `settings`."""
        return self.sections[name] if name in KINDS else getattr(self, name)

    @property
    def encoders(self) -> dict[str, str]:
        """Kind of model → its encoder; "" for a kind without one, or of which there is no model."""
        used = {kind: getattr(self.section(kind), "encoder", "") for kind in self.models}
        return dict.fromkeys(KINDS, "") | used

    def with_encoders(self, encoders: Mapping[str, str]) -> Params:
        """Settings in which some kinds of model have these encoders; "" for a kind without one."""
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
        Topics("single", self.topics, self.retired)  # which checks them


# The names of sections, which have keys of their own.
SECTIONS = {name for name, kind in get_type_hints(Params).items() if is_dataclass(kind)} | {*KINDS}


def read_params(path: Path) -> Params:
    """Read and check params.yaml, and the codebook of its project.

    Raises
    ------
    UserError
        A file is missing, is not UTF-8 or is not YAML, or a key is unknown, given twice or
        ill-typed, or a section is missing.
    """
    values, sections = _read_yaml(path), {}
    if isinstance(values, dict):
        # Null is what is left of a section without keys.
        values |= {name: {} for name in SECTIONS & values.keys() if values[name] is None}
        sections = {name: values.pop(name) for name in KINDS if name in values}
        if isinstance(topics := values.get("topics"), dict):
            values["topics"] = _with_codebook(topics, path)
    params = _checked(Params, values, f"{path}: ")
    for name in params.models:
        if name not in sections:
            raise UserError(f"{path}: {name}: this key is missing")
    return replace(
        params,
        sections={
            name: _checked(resolve_name(KINDS[name].settings), section, f"{path}: ", name)
            for name, section in sections.items()
        },
    )


def _with_codebook(topics: dict[str, object], params: Path) -> dict[str, object]:
    """The section `topics` of params.yaml, with what the file of the codebook holds, checked."""
    path, has_own = Paths(params.parent).codebook, topics.keys() & {"codebook", "retired"}
    if has_own and path.exists():
        raise UserError(f"{params} (topics.codebook) and {path} both have topics: remove one")
    if has_own:  # as projects of before
        return topics
    own = asdict(_checked(Codebook, _read_yaml(path), f"{path}: "))
    return topics | {"codebook": own["topics"], "retired": own["retired"]}


def usual_params(topics: Topics, seed: int, kind: str, settings: Mapping[str, object]) -> Params:
    """The params of a new project with these topics and one kind of model, of which some settings.

    Raises
    ------
    UserError
        The kind has no such setting, or a value is ill-typed.
    """
    section = _checked(resolve_name(KINDS[kind].settings), {**settings}, kind=kind)
    sections = Prepare(), Labels(), Split(), Calibrate(), Evaluate(), Compare(), Track()
    return Params(seed, (kind,), None, None, "paragraph", topics, *sections, {kind: section})


def _checked(section: type[Section], values: object, where: str = "", kind: str = "") -> Section:
    """Values as a section; a `UserError` names the keys that are wrong.

    Parameters
    ----------
    where
        What its lines begin with.
    kind
        Name of the section if it is that of a kind of model.
    """
    try:
        # Strict validation of JSON still takes a list for a tuple and 1 for 1.0.
        return TypeAdapter(section).validate_json(json.dumps(values))
    except ValidationError as error:
        lines = (f"{where}{message}" for message in _messages(error, section, kind))
        raise UserError("\n".join(lines)) from None


class _Constructor(SafeConstructor):
    """Takes what JSON has too, and names the line of anything else, as the date 2025-09-15."""

    def construct_object(self, node: Node, deep: bool = False) -> object:
        where = node.start_mark
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # which half of a character cannot be
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
    """Values of a YAML file; a `UserError` names the line that cannot be read."""
    text, yaml = read_text(path), YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        if sum(isinstance(event, AliasEvent) for event in yaml.parse(text)) > MOST_ALIASES:
            problem = f"it has over {MOST_ALIASES} aliases (*name): write out what they repeat"
            raise ConstructorError(None, None, problem)
        values: object = yaml.load(text)
        json.dumps(values)  # which values that contain themselves have not
        return values
    except RecursionError:
        raise UserError(f"{path} is nested too deeply") from None
    except Exception as error:  # a YAMLError, but of some files ruamel raises others
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or str(error)
        hint = "; indent with spaces, not tabs" if r"'\t'" in problem else ""
        raise UserError(f"{where} cannot be read: {_short(problem)}{hint}") from None


def _messages(error: ValidationError, section: type, kind: str) -> list[str]:
    """One message for each key: 'transformer.epochs: Input should be a valid integer (got "x")'."""
    messages = []
    for item in error.errors():
        # An entry of a list is an object or a str: what is wrong with it as an object is said.
        parts = [str(part) for part in item["loc"] if part not in _ENTRIES]
        key = ".".join(filter(None, [kind, *parts])) or "the file"
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
