"""The codebook: the names, order and definitions of the topics, and how labels are written.

The order of the codebook is the order of the classes everywhere: in columns of scores, in rows of
a confusion matrix, in `classes_`. This module depends on no paragraphs, files or models.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple
from unicodedata import normalize

from paratopic.project.errors import MOST_NAMED, UserError, closest_word_hint, shortened_list
from paratopic.project.scripts import STOPS

if TYPE_CHECKING:
    import regex

# Separates the topics in a cell of a file. Functions pass labels as tuples of names.
SEPARATOR = ";"
# Replaces the topics of a vote that is undecided or withdrawn.
UNDECIDED = "?"

# single: a paragraph has at most one topic. multi: it may have several.
ModeName = Literal["single", "multi"]
# leave_out: a paragraph with a tie has no label until another vote breaks the tie. first:
# `labels.votes.aggregate` breaks it.
TieRule = Literal["leave_out", "first"]

# These stand for none of the topics: in words, where there is little room, and in a cell of labels.
# An empty cell would mean that there is no label.
NO_TOPIC = "none of the topics"
NO_TOPIC_SHORT = "(none)"
NONE_CELL = "none"

# These cannot be names of topics, because they stand for no vote or for none of the topics.
_RESERVED = ("", UNDECIDED, NO_TOPIC, f"({NO_TOPIC})", NO_TOPIC_SHORT, NONE_CELL)
# Names of topics cannot contain these characters, because a label is written on one line.
_FORBIDDEN = re.compile(rf"[{SEPARATOR}\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# A search for a pattern may take so many seconds in one text, and in all texts together. Searches
# below the last number do not count. Limits are needed, because some patterns backtrack for ever.
LONGEST_SEARCH, LONGEST_SEARCHES, QUICK = 1.0, 60.0, 0.001

# The doubtful cases of a definition begin here.
_CASES = re.compile(r"(?:^|\s)(?:In|Out):")

# These separate the clauses of a definition; the dots of "U.S." and "e.g." do not. Scripts such as
# Chinese and Arabic may have no blank after commas and full stops.
_STOPS = re.compile(
    r"(?:[,;:]|(?<=[^\W\d_A-Z]{2})\.)(?:\s+(?:and|or|und|oder|et|ou|y)\b|\s|$)"
    rf"|[，；：、\u060c\u061b\u1363\u1364{STOPS}]"
)


def normalized_name(name: str) -> str:
    """Normalize the name of a topic to NFC, because two forms of an accent look alike.

    >>> normalized_name("e\u0301conomie") == "\u00e9conomie"
    True
    """
    return normalize("NFC", name)


def split_cell(cell: str) -> tuple[str, ...]:
    """Split a cell of labels into names of topics, each once; empty for none of the topics.

    >>> split_cell("trade; security")
    ('trade', 'security')
    """
    names = (normalized_name(name.strip()) for name in cell.split(SEPARATOR))
    return tuple(dict.fromkeys(name for name in names if name))


def join_cell(names: Iterable[str]) -> str:
    """Write names of topics as a cell of labels; "" for none of the topics.

    >>> join_cell(("trade", "security"))
    'trade;security'
    """
    return SEPARATOR.join(names)


def topics_in_words(names: Iterable[str]) -> str:
    """Write names of topics for people.

    >>> topics_in_words(("trade", "security")), topics_in_words(())
    ('trade; security', 'none of the topics')
    """
    return f"{SEPARATOR} ".join(names) or NO_TOPIC


def default_definition(name: str) -> str:
    """Write a definition from a topic's name, to be replaced by a better one.

    >>> default_definition("diplomacy_venue")
    'Diplomacy venue.'
    """
    words = " ".join(name.replace("_", " ").split())
    return f"{words[:1].upper()}{words[1:]}."


@dataclass(frozen=True)
class Topic:
    """One entry of the codebook.

    Parameters
    ----------
    name
        Name of the topic in labels, score columns and predictions.
    definition
        Scope of the topic; then, for annotators, the doubtful cases after "In:" and "Out:".
        Empty by default: labelled tables need no definitions.
    heading
        Regular expression. A heading that it matches anywhere, in upper or lower case, gives the
        paragraphs under it this topic as a weak label. Empty by default: no heading does.
    pattern
        Rule for the text: a word or another regular expression. A paragraph in which it is found,
        in upper or lower case, gets this topic as a weak label. Empty by default: none does.
    was
        Former names of the topic. Labels with one of them are read as this topic. Empty by default.
    """

    # For pydantic, which checks params.yaml. A plain dict does not make prediction import it.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    definition: str = ""
    heading: str = ""
    pattern: str = ""
    was: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", normalized_name(self.name))
        object.__setattr__(self, "was", tuple(map(normalized_name, self.was)))
        for name in (self.name, *self.was):
            _check_name(name)
        for pattern in (self.heading, self.pattern):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None

    @property
    def description(self) -> str:
        """The part of the definition that models read, up to the first "In:" or "Out:"."""
        return _CASES.split(self.definition, maxsplit=1)[0].strip()


@dataclass
class Pattern:
    """A regular expression, and the time that searching for it has taken.

    Parameters
    ----------
    expression
        The expression; it matches upper and lower case alike.
    where
        Place where it is written, for messages.
    spent
        Seconds that searches have taken, without the quick ones. Default: 0.
    """

    expression: str
    where: str
    spent: float = 0.0

    @cached_property
    def _compiled(self) -> regex.Pattern[str]:
        import regex  # unlike re, it has a time limit

        try:
            return regex.compile(self.expression, regex.IGNORECASE)
        except regex.error as error:
            raise UserError(f"{self.where} cannot be searched for: {error}") from None

    def matches(self, text: str) -> bool:
        """Whether the pattern matches somewhere in a text, in upper or lower case.

        Raises
        ------
        UserError
            The pattern is no regular expression, this search takes over `LONGEST_SEARCH` seconds,
            or all searches for this pattern together take over `LONGEST_SEARCHES` seconds.
        """
        started = time.monotonic() + QUICK
        seconds = max(QUICK, min(LONGEST_SEARCH, LONGEST_SEARCHES - self.spent))
        try:
            match = self._compiled.search(text, timeout=seconds)
        except TimeoutError:
            slow = f'{LONGEST_SEARCH:g} s on "{text[:60]}", or {LONGEST_SEARCHES:g} s on all texts'
            raise UserError(f"{self.where} takes more than {slow}; simplify it") from None
        self.spent += max(0.0, time.monotonic() - started)
        return match is not None


class Meaning(NamedTuple):
    """The current names of a label's topics, without repetitions.

    `retired` is the reason why the paragraph has to be labelled again, and "" if the label counts.
    Names stay as they are written if there is such a reason, or if the codebook lacks them.
    """

    names: tuple[str, ...]
    retired: str = ""


class SingleLabels:
    """The meaning of labels in mode single: only the first topic, the dominant one, counts.

    Attributes
    ----------
    counted, value
        Index of the topics that count among a label's topics, and index of the value in a table or
        in JSON among these.
    none_outcome, named_outcomes
        Index of the outcome without a topic among the outcomes of a question, and index of the
        outcomes that labels can name.
    plural
        Ending of a noun for the topics that count.
    order, example, tie
        Words for people on the order of topics, on several topics, and on ties.
    """

    name: Final = "single"
    counted: Final = slice(1)
    value: Final = 0
    none_outcome: Final = -1
    named_outcomes: Final = slice(None)
    plural: Final = ""
    order: Final = ", the dominant one first"
    example: Final = ""
    tie: Final = "the answer that comes first in the codebook"

    def questions(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """The outcomes of each question that a label decides, exactly one of which is true."""
        return ((*names, NO_TOPIC),)


class MultiLabels:
    """The meaning of labels in mode multi: all topics count; see `SingleLabels`."""

    name: Final = "multi"
    counted: Final = slice(None)
    value: Final = slice(None)
    none_outcome: Final = 0
    named_outcomes: Final = slice(1, None)
    plural: Final = "s"
    order: Final = ""
    example: Final = " (several: trade;security)"
    tie: Final = "the topics that half of the annotators chose"

    def questions(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return tuple((f"not {name}", name) for name in names)


_LABELS: dict[str, SingleLabels | MultiLabels] = {"single": SingleLabels(), "multi": MultiLabels()}


@dataclass(frozen=True)
class Topics:
    """The codebook.

    Parameters
    ----------
    mode
        ``"single"``: only a paragraph's first topic, the dominant one, counts. ``"multi"``: all of
        them do.
    codebook
        Topics in class order. A string is the name of a topic without a definition.
    retired
        Name of a removed topic → the topics that replaced it; empty for a topic that was dropped.
        Paragraphs with such a label have to be labelled again. Default: no topic.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mode: ModeName = "single"
    codebook: tuple[Topic | str, ...] = ()
    retired: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        retired = {}
        for name, parts in self.retired.items():
            retired[normalized_name(name)] = tuple(map(normalized_name, parts))
        object.__setattr__(self, "retired", retired)
        if len(self.topics) < 2:
            raise ValueError(f"the codebook needs at least two topics, it has {len(self.topics)}")
        self._check_places()
        for description in filter(None, (topic.description for topic in self.topics)):
            alike = [topic.name for topic in self.topics if topic.description == description]
            if len(alike) > 1:
                raise ValueError(
                    f"{' and '.join(alike)} have the same definition, up to In: or Out:; "
                    "nothing would tell them apart"
                )

    def _check_places(self) -> None:
        """Check that no name is in two places: of a topic, in a topic's `was`, in `retired`.

        A ValueError reports one, an invalid retired name, or a retired topic's part in no place.
        """
        places = [(topic.name, "as a topic") for topic in self.topics]
        places += [(n, f"in `was` of {topic.name}") for topic in self.topics for n in topic.was]
        places += [(name, "in `retired`") for name in self.retired]
        seen: dict[str, str] = {}
        for name, place in places:
            if seen.get(name) == place:
                raise ValueError(f"the codebook lists a topic twice: {name}")
            if name in seen:
                raise ValueError(
                    f'the codebook has "{name}" twice, {seen[name]} and {place}: remove one of them'
                )
            seen[name] = place
        for name, parts in self.retired.items():
            _check_name(name)
            for part in parts:
                if part not in seen or part == name:
                    raise ValueError(f'"{part}", in `retired` of {name}, is no other topic')

    @cached_property
    def _current_names(self) -> dict[str, str]:
        """Name or former name of a topic → its name."""
        return {name: topic.name for topic in self.topics for name in (topic.name, *topic.was)}

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names that labels may have: those of topics, and former ones."""
        return (*self._current_names, *self.retired)

    def current_meaning(self, names: Iterable[str]) -> Meaning:
        """Translate the names of a label, which may be former or retired ones, to current names.

        Unknown names stay. If one is retired, all names stay, and `retired` tells why.

        >>> topics = Topics("single", (Topic("trade", was=("commerce",)), "law"), {"army": ()})
        >>> topics.current_meaning(["commerce", "law"]).names
        ('trade', 'law')
        >>> topics.current_meaning(["army"]).retired
        'army was dropped'
        """
        names = tuple(names)
        for name in names:
            if name in self.retired:
                reached = [name]
                for part in reached:  # grows, because parts may be retired themselves
                    reached += [new for new in self.retired.get(part, ()) if new not in reached]
                current = [self._current_names[n] for n in reached if n in self._current_names]
                parts = ", ".join(dict.fromkeys(current))
                change = f"split into {parts}" if parts else "dropped"
                return Meaning(names, f"{name} was {change}")
        return Meaning(tuple(dict.fromkeys(self._current_names.get(name, name) for name in names)))

    @cached_property
    def topics(self) -> tuple[Topic, ...]:
        """The topics in class order."""
        return tuple(Topic(t) if isinstance(t, str) else t for t in self.codebook)

    @property
    def names(self) -> tuple[str, ...]:
        """Topic names in class order."""
        return tuple(topic.name for topic in self.topics)

    @property
    def labels(self) -> SingleLabels | MultiLabels:
        """The meaning of labels in the mode."""
        return _LABELS[self.mode]

    @property
    def max_topics(self) -> int:
        """The largest number of topics of a text that count: one in mode single, else all."""
        return len(self.topics[self.labels.counted])

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that labels can name: each topic and, in mode single, none of them."""
        questions = self.labels.questions(self.names)
        return tuple(name for names in questions for name in names[self.labels.named_outcomes])

    @property
    def choices(self) -> tuple[str, ...]:
        """The choices of an annotator: the names of the topics, then `NO_TOPIC`."""
        return (*self.names, NO_TOPIC)

    @property
    def score_columns(self) -> list[str]:
        """Names of the columns with the topics' scores; tables also have columns such as "id"."""
        return [f"score {name}" for name in self.names]

    @property
    def threshold_columns(self) -> list[str]:
        """Names of the columns with the topics' thresholds, in the same tables."""
        return [f"threshold {name}" for name in self.names]

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The topics' descriptions in class order; empty where any topic lacks one.

        A topic without a description would never be predicted if other topics have one.
        """
        descriptions = tuple(topic.description for topic in self.topics)
        return descriptions if all(descriptions) else ()

    @property
    def clauses(self) -> tuple[tuple[str, ...], ...]:
        """The parts of each of the `descriptions`, which commas and other marks separate.

        >>> sport = Topic("sport", "Games: matches, and players of teams.")
        >>> Topics("single", (sport, Topic("weather", "Rain and wind."))).clauses
        (('Games', 'matches', 'players of teams'), ('Rain and wind',))
        """
        return tuple(_split_clauses(text) for text in self.descriptions)

    def counted(self, names: Sequence[str]) -> tuple[str, ...]:
        """Select the topics of a label that count: the first one, or all in mode multi.

        >>> Topics("single", ("trade", "security")).counted(["security", "trade"])
        ('security',)
        >>> Topics("multi", ("trade", "security")).counted(["security", "trade"])
        ('security', 'trade')
        """
        return tuple(names[self.labels.counted])

    def check(self, names: Iterable[str], where: str) -> tuple[str, ...]:
        """Return each name once, in order.

        A name that no topic has now raises a `UserError`, whose message begins with `where`.

        >>> Topics("single", ("trade", "technology")).check(["trade", "trade"], "line 2")
        ('trade',)
        """
        names = tuple(dict.fromkeys(names))
        for name in names:
            if name not in self.names:
                shown = " ".join(name.split())[:60]
                several = all(part.strip() in self.names for part in name.split(","))
                hint = " (separate topics by ;)" if several else closest_word_hint(name, self.names)
                raise UserError(
                    f'{where}: unknown topic "{shown}"{hint}; the codebook has '
                    f"{shortened_list(self.names, MOST_NAMED)}; none stands for none of them"
                )
        return names

    def patterns(self, key: Literal["heading", "pattern"]) -> dict[str, Pattern]:
        """Name of each topic with a pattern under this key → the pattern, in codebook order."""
        noun = "heading pattern" if key == "heading" else key
        patterns = {}
        for topic in self.topics:
            if expression := getattr(topic, key):
                where = f'codebook: the {noun} of "{topic.name}"'
                patterns[topic.name] = Pattern(expression, where)
        return patterns

    def write_cells(self, targets: Iterable[Iterable[bool]]) -> list[str]:
        """Write targets (n, k) as n cells of labels.

        >>> Topics("multi", ("trade", "technology")).write_cells([[True, True], [False, False]])
        ['trade;technology', '']
        """
        return [join_cell(compress(self.names, row)) for row in targets]


def _split_clauses(description: str) -> tuple[str, ...]:
    """The clauses of a description, without blanks around them and without empty ones."""
    return tuple(filter(None, map(str.strip, _STOPS.split(description))))


def _check_name(name: str) -> None:
    if name in _RESERVED or name != name.strip() or _FORBIDDEN.search(name):
        raise ValueError(
            f"{name!r} is not a topic name: it must not be empty or a question mark, {NO_TOPIC!r}, "
            f"'none' or {NO_TOPIC_SHORT!r}, begin or end with a space, or contain {SEPARATOR!r} or "
            "a control character"
        )
