"""The closed set of topics: names, order, definitions, and how labels are written.

This module knows nothing of paragraphs, files or models. The order of the codebook is the order
of the classes everywhere: columns of scores, rows of a confusion matrix, `classes_`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from paratopic.project.errors import UserError

SEPARATOR = ";"

# Whether a paragraph has one topic at most, or any number of them.
Mode = Literal["single", "multi"]

# Where a definition turns from the topic to its doubtful cases.
_CASES = re.compile(r"(?:^|\s)(?:In|Out):")


def nearest(word: str, known: Iterable[str]) -> str:
    """' (did you mean "trade"?)' when something known is close to `word`, else ''."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


@dataclass(frozen=True)
class Topic:
    """One entry of the codebook.

    Parameters
    ----------
    name
        What stands in labels, score columns and predictions.
    definition
        What the topic covers, then, for annotators, "In:" and "Out:" with the doubtful cases. May
        be empty for tables from elsewhere.
    heading
        Regular expression; a heading in which it is found (case does not matter) gives a weak
        label to the paragraphs under it. Empty means no heading does.
    """

    # Read by pydantic where params are read; a plain dict keeps pydantic out of prediction.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    definition: str = ""
    heading: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip() or SEPARATOR in self.name:
            raise ValueError(
                f"{self.name!r} is no topic name: it must not be empty, begin or end with a space, "
                f"or contain {SEPARATOR!r}"
            )
        try:
            re.compile(self.heading)
        except re.error as error:
            raise ValueError(f"{self.heading!r} is no regular expression: {error}") from None

    @property
    def description(self) -> str:
        """What models read: the definition up to its first "In:" or "Out:"."""
        return _CASES.split(self.definition, maxsplit=1)[0].strip()


@dataclass(frozen=True)
class Topics:
    """The codebook.

    Parameters
    ----------
    mode
        ``"single"``: a paragraph's first topic is its class. ``"multi"``: it has all of its topics.
    codebook
        Topics in class order; a bare name stands for a topic without a definition.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mode: Mode
    codebook: tuple[Topic | str, ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(names) < 2:
            raise ValueError(f"the codebook needs at least two topics, it has {len(names)}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the codebook names a topic twice: {', '.join(twice)}")

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The codebook's entries in class order."""
        return tuple(Topic(t) if isinstance(t, str) else t for t in self.codebook)

    @property
    def names(self) -> tuple[str, ...]:
        """Topic names in class order."""
        return tuple(topic.name for topic in self.topics)

    @property
    def thresholds(self) -> list[str]:
        """Columns of the topics' thresholds, beside those of their scores."""
        return [f"threshold {name}" for name in self.names]

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The topics' descriptions in class order; none where a topic lacks one.

        Beside described topics one without a description would never be found.
        """
        found = tuple(topic.description for topic in self.topics)
        return found if all(found) else ()

    def parse(self, cell: str, where: str) -> tuple[str, ...]:
        """Read a cell of labels: ``"trade; technology"`` → ``("trade", "technology")``.

        Parameters
        ----------
        cell
            Topic names, the dominant one first; empty means none of the topics.
        where
            File and line, for the error.

        Raises
        ------
        UserError
            A name that the codebook does not have.
        """
        names = [name.strip() for name in cell.split(SEPARATOR) if name.strip()]
        for name in names:
            if name not in self.names:
                raise UserError(
                    f'{where}: unknown topic "{name}"{nearest(name, self.names)}; the codebook in '
                    f"params.yaml (topics.codebook) has {', '.join(self.names)}"
                )
        return tuple(dict.fromkeys(names))

    def of_heading(self, heading: str) -> str | None:
        """The first topic whose pattern is found in a heading; None when there is none."""
        for topic in self.topics:
            if topic.heading and re.search(topic.heading, heading, re.IGNORECASE):
                return topic.name
        return None

    def write(self, targets: Iterable[Iterable[bool]]) -> list[str]:
        """Cells of labels: [[True, True], [False, False]] → ``["trade;technology", ""]``."""
        return [
            SEPARATOR.join(name for name, has in zip(self.names, row, strict=True) if has)
            for row in targets
        ]
