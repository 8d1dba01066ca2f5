"""The codebook: the names, order and definitions of the topics, and how labels are written.

The order of the codebook is the order of the classes everywhere: in columns of scores, in rows of
a confusion matrix, in `classes_`. This module knows nothing of paragraphs, files or models.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple
from unicodedata import normalize

from paratopic.project.errors import MOST_NAMED, UserError, did_you_mean, in_short
from paratopic.project.scripts import STOPS

if TYPE_CHECKING:
    import regex

# Between the topics in a cell of a file. Between functions labels are tuples of names.
SEPARATOR = ";"
# In place of topics: nobody has decided yet, or an answer is taken back.
UNDECIDED = "?"

# single: a paragraph has at most one topic. multi: it may have several.
ModeName = Literal["single", "multi"]

# What becomes of a paragraph on which annotators are divided: it has no label until another answer
# settles it, or `labels.answers.aggregate` decides.
TieRule = Literal["leave_out", "first"]

# What is written where a text has none of the topics: in full, where there is little room, and in a
# cell of labels, where an empty one would say that there is no label.
NO_TOPIC = "none of the topics"
NONE = "(none)"
NONE_CELL = "none"

# Names that no topic has, because they stand for no answer or for none of the topics.
_TAKEN = ("", UNDECIDED, NO_TOPIC, f"({NO_TOPIC})", NONE, NONE_CELL)

# Characters that the name of a topic must not have: labels are written on one line.
_REFUSED = re.compile(rf"[{SEPARATOR}\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Seconds that the search for a pattern may take: in a heading or a text, and in all together, of
# which those that are quick do not count. Some patterns backtrack for ever.
LONGEST_SEARCH, LONGEST_SEARCHES, QUICK = 1.0, 60.0, 0.001

# Where the doubtful cases of a definition begin.
_CASES = re.compile(r"(?:^|\s)(?:In|Out):")

# What separates a definition's clauses; the dots of "U.S." and "e.g." do not. Behind commas and
# stops of scripts such as Chinese and Arabic there may be no blank.
_STOPS = re.compile(
    r"(?:[,;:]|(?<=[^\W\d_A-Z]{2})\.)(?:\s+(?:and|or|und|oder|et|ou|y)\b|\s|$)"
    rf"|[，；：、\u060c\u061b\u1363\u1364{STOPS}]"
)


def composed(name: str) -> str:
    """The name of a topic with accents as parts of letters (NFC): two forms look alike.

    >>> composed("e\u0301conomie") == "\u00e9conomie"
    True
    """
    return normalize("NFC", name)


def split_cell(cell: str) -> tuple[str, ...]:
    """Split a cell of labels into names of topics, each once; empty for none of the topics.

    >>> split_cell("trade; security")
    ('trade', 'security')
    """
    names = (composed(name.strip()) for name in cell.split(SEPARATOR))
    return tuple(dict.fromkeys(name for name in names if name))


def join_cell(names: Iterable[str]) -> str:
    """Write names of topics as a cell of labels; "" for none of the topics.

    >>> join_cell(("trade", "security"))
    'trade;security'
    """
    return SEPARATOR.join(names)


def topics_in_words(names: Iterable[str]) -> str:
    """Name topics for people.

    >>> topics_in_words(("trade", "security")), topics_in_words(())
    ('trade; security', 'none of the topics')
    """
    return f"{SEPARATOR} ".join(names) or NO_TOPIC


def first_definition(name: str) -> str:
    """The name of a topic as its definition, until somebody writes a better one.

    >>> first_definition("diplomacy_venue")
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
        What the topic covers; then, for annotators, the doubtful cases after "In:" and "Out:".
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
        object.__setattr__(self, "name", composed(self.name))
        object.__setattr__(self, "was", tuple(map(composed, self.was)))
        for name in (self.name, *self.was):
            _check_name(name)
        for pattern in (self.heading, self.pattern):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None

    @property
    def description(self) -> str:
        """The part of the definition that models read: up to the first "In:" or "Out:"."""
        return _CASES.split(self.definition, maxsplit=1)[0].strip()


@dataclass
class Pattern:
    """A regular expression, and the time that searching for it has taken.

    Parameters
    ----------
    expression
        Upper and lower case do not matter.
    where
        Where it is written, for messages.
    spent
        Seconds that searches have taken, without the quick ones; 0 by default.
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

    def is_in(self, text: str) -> bool:
        """Say whether it matches somewhere in a text.

        Raises
        ------
        UserError
            It is no regular expression, or takes longer than `LONGEST_SEARCH`, or than
            `LONGEST_SEARCHES` in all texts so far.
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
    """What a label means today: its topics in today's names, each once.

    They are as they are written if the label is to be given again, or if the codebook does not know
    them. `retired` says why it is to be given again; it is "" if the label counts.
    """

    names: tuple[str, ...]
    retired: str = ""


class SingleLabels:
    """What labels mean in mode single: the first topic, the dominant one, counts.

    Attributes
    ----------
    counted, value
        Which of a label's topics count, and what of these is a value in a table or in JSON.
    none, answers
        Of the outcomes of a question, the one without a topic, and those that labels name.
    plural
        Ending of a noun for what counts.
    order, example, tie
        Words for people: on the order of topics, on writing several, and on what counts in a tie.
    """

    name: Final = "single"
    counted: Final = slice(1)
    value: Final = 0
    none: Final = -1
    answers: Final = slice(None)
    plural: Final = ""
    order: Final = ", the dominant one first"
    example: Final = ""
    tie: Final = "the answer that comes first in the codebook"

    def questions(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """The outcomes of each question that a label answers; one of them is true of a text."""
        return ((*names, NO_TOPIC),)


class MultiLabels:
    """What labels mean in mode multi: all of their topics count."""

    name: Final = "multi"
    counted: Final = slice(None)
    value: Final = slice(None)
    none: Final = 0
    answers: Final = slice(1, None)
    plural: Final = "s"
    order: Final = ""
    example: Final = " (several: trade;security)"
    tie: Final = "the topics that half of the annotators chose"

    def questions(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return tuple((f"not {name}", name) for name in names)


_LABELS: dict[ModeName, SingleLabels | MultiLabels] = {
    labels.name: labels for labels in (SingleLabels(), MultiLabels())
}


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
        Name of a topic that is no more → the topics that took its place; empty for a topic that was
        dropped. Labels with such a name are to be given again. None by default.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mode: ModeName = "single"
    codebook: tuple[Topic | str, ...] = ()
    retired: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        retired = {composed(n): tuple(map(composed, parts)) for n, parts in self.retired.items()}
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
        """Refuse a name that stands in two places, and one that nothing explains."""
        places = [(topic.name, "as a topic") for topic in self.topics]
        places += [(n, f"in `was` of {topic.name}") for topic in self.topics for n in topic.was]
        places += [(name, "in `retired`") for name in self.retired]
        first: dict[str, str] = {}
        for name, place in places:
            if first.get(name) == place:
                raise ValueError(f"the codebook lists a topic twice: {name}")
            if name in first:
                raise ValueError(
                    f'the codebook has "{name}" twice, {first[name]} and {place}: remove one of '
                    "them"
                )
            first[name] = place
        for name, parts in self.retired.items():
            _check_name(name)
            for part in parts:
                if part not in first or part == name:
                    raise ValueError(f'"{part}", in `retired` of {name}, is no other topic')

    @cached_property
    def _today(self) -> dict[str, str]:
        """Name or former name of a topic → its name."""
        return {name: topic.name for topic in self.topics for name in (topic.name, *topic.was)}

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names that labels may have: those of topics, and former ones."""
        return (*self._today, *self.retired)

    def today(self, names: Iterable[str]) -> Meaning:
        """Read a label, whose names may be former ones.

        >>> topics = Topics("single", (Topic("trade", was=("commerce",)), "law"), {"army": ()})
        >>> topics.today(["commerce", "law"]).names
        ('trade', 'law')
        >>> topics.today(["army"]).retired
        'army was dropped'
        """
        names = tuple(names)
        for name in names:
            if name in self.retired:
                ahead = [name]
                for each in ahead:  # grows, because parts may be retired themselves
                    ahead += [part for part in self.retired.get(each, ()) if part not in ahead]
                parts = dict.fromkeys(self._today[part] for part in ahead if part in self._today)
                how = f"split into {', '.join(parts)}" if parts else "dropped"
                return Meaning(names, f"{name} was {how}")
        return Meaning(tuple(dict.fromkeys(self._today.get(name, name) for name in names)))

    @cached_property
    def topics(self) -> tuple[Topic, ...]:
        """The codebook's entries in class order."""
        return tuple(Topic(t) if isinstance(t, str) else t for t in self.codebook)

    @property
    def names(self) -> tuple[str, ...]:
        """Topic names in class order."""
        return tuple(topic.name for topic in self.topics)

    @property
    def labels(self) -> SingleLabels | MultiLabels:
        """What labels mean in the mode."""
        return _LABELS[self.mode]

    @property
    def most(self) -> int:
        """How many topics of a text count at most: one in mode single, in mode multi each."""
        return len(self.topics[self.labels.counted])

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What labels can name: each topic and, where one counts, none of them."""
        questions = self.labels.questions(self.names)
        return tuple(name for outcomes in questions for name in outcomes[self.labels.answers])

    @property
    def choices(self) -> tuple[str, ...]:
        """What an annotator chooses from: the names of the topics, then `NO_TOPIC`."""
        return (*self.names, NO_TOPIC)

    @property
    def scores(self) -> list[str]:
        """Names of the columns with the topics' scores, in tables beside columns such as "id"."""
        return [f"score {name}" for name in self.names]

    @property
    def thresholds(self) -> list[str]:
        """Names of the columns with the topics' thresholds, in the same tables."""
        return [f"threshold {name}" for name in self.names]

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The topics' descriptions in class order; empty where any topic lacks one.

        A topic without a description would never be predicted beside topics that have one.
        """
        descriptions = tuple(topic.description for topic in self.topics)
        return descriptions if all(descriptions) else ()

    @property
    def clauses(self) -> tuple[tuple[str, ...], ...]:
        """The parts of each of the `descriptions`, between commas and other stops.

        >>> sport = Topic("sport", "Games: matches, and players of teams.")
        >>> Topics("single", (sport, Topic("weather", "Rain and wind."))).clauses
        (('Games', 'matches', 'players of teams'), ('Rain and wind',))
        """
        return tuple(
            tuple(part for part in map(str.strip, _STOPS.split(text)) if part)
            for text in self.descriptions
        )

    def counted(self, names: Sequence[str]) -> tuple[str, ...]:
        """Pick the topics of a paragraph that count: the first, dominant one, or in mode multi all.

        >>> Topics("single", ("trade", "security")).counted(["security", "trade"])
        ('security',)
        >>> Topics("multi", ("trade", "security")).counted(["security", "trade"])
        ('security', 'trade')
        """
        return tuple(names[self.labels.counted])

    def check(self, names: Iterable[str], where: str) -> tuple[str, ...]:
        """Drop repeated names; a `UserError` says where the codebook lacks one.

        >>> Topics("single", ("trade", "technology")).check(["trade", "trade"], "line 2")
        ('trade',)
        """
        names = tuple(dict.fromkeys(names))
        for name in names:
            if name not in self.names:
                shown = " ".join(name.split())[:60]
                several = all(part.strip() in self.names for part in name.split(","))
                hint = " (separate topics by ;)" if several else did_you_mean(name, self.names)
                raise UserError(
                    f'{where}: unknown topic "{shown}"{hint}; the codebook has '
                    f"{in_short(self.names, MOST_NAMED)}; none stands for none of them"
                )
        return names

    def patterns(self, key: Literal["heading", "pattern"]) -> dict[str, Pattern]:
        """Name of each topic that has a pattern of this key → the pattern, not yet searched for."""
        what = "heading pattern" if key == "heading" else key
        return {
            topic.name: Pattern(expression, f'codebook: the {what} of "{topic.name}"')
            for topic in self.topics
            if (expression := getattr(topic, key))
        }

    def write(self, targets: Iterable[Iterable[bool]]) -> list[str]:
        """Write cells of labels, one for each row of targets (n, k).

        >>> Topics("multi", ("trade", "technology")).write([[True, True], [False, False]])
        ['trade;technology', '']
        """
        return [
            join_cell(name for name, has in zip(self.names, row, strict=True) if has)
            for row in targets
        ]


def _check_name(name: str) -> None:
    if name in _TAKEN or name != name.strip() or _REFUSED.search(name):
        raise ValueError(
            f"{name!r} is not a topic name: it must not be empty or a question mark, {NO_TOPIC!r}, "
            f"'none' or {NONE!r}, begin or end with a space, or contain {SEPARATOR!r} or a control "
            "character"
        )
