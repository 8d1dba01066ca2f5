"""Change the codebook: what becomes of its topics, and of their entries in params.yaml.

The file is edited as text, so that comments and everything beside the codebook stay as they are.
This module does not read or write files (`cli.codebook` does), and knows nothing of labels
(`labels.codebook` says what a change makes of them).
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from paratopic.project.errors import UserError
from paratopic.project.topics import Topic, Topics, join_cell, nearest, split_cell

Kind = Literal["rename", "merge", "split", "drop"]

# Between the topics of before and those of after, in a cell. No topic has it in its name.
_BECOME = ";;"
# A text that means itself in YAML.
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off)\b)[a-z][a-z_]*", re.I)
# A text that stays the same if it is folded over several lines.
_FOLDABLE = re.compile(r"[!-~\u00a1-\u024f]+(?: [!-~\u00a1-\u024f]+)*")
LONGEST_LINE = 100
# Keys of a topic that are regular expressions.
PATTERNS = "heading", "pattern"


class Entry(NamedTuple):
    """A topic of the codebook after a change.

    Attributes
    ----------
    topic
        The topic.
    kept
        Name of the topic whose entry in params.yaml stays, but for the name; None for a new entry.
    """

    topic: Topic
    kept: str | None


@dataclass(frozen=True)
class Change:
    """A change of the codebook.

    Parameters
    ----------
    into
        The topics that they become; empty for ``"drop"``. Some may be among `names`.

    Raises
    ------
    ValueError
        There are too few or too many names.
    """

    kind: Kind
    names: tuple[str, ...]
    into: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(dict.fromkeys(self.names)))
        object.__setattr__(self, "into", tuple(dict.fromkeys(self.into)))
        before, after = len(self.names), len(self.into)
        fits, needs = {
            "rename": (before == after == 1, "one topic and one new name"),
            "merge": (before > 1 and after == 1, "at least two topics, and one name after --into"),
            "split": (before == 1 and after > 1, "one topic, and at least two after --into"),
            "drop": (before == 1 and after == 0, "one topic"),
        }[self.kind]
        if not fits:
            raise ValueError(f"{self.kind} needs {needs}")

    def __str__(self) -> str:
        before, after = ", ".join(self.names), ", ".join(self.into)
        match self.kind:
            case "rename":
                return f"{before} is renamed to {after}"
            case "merge":
                return f"{before} are merged into {after}"
            case "split":
                return f"{before} is split into {after}"
            case "drop":
                return f"{before} is dropped"

    @classmethod
    def of_cell(cls, kind: Kind, cell: str) -> Change:
        """Read what `cell` wrote; raises a ValueError where there are too few or too many names."""
        before, _, after = cell.partition(_BECOME)
        return cls(kind, split_cell(before), split_cell(after))

    @property
    def cell(self) -> str:
        """The topics of before, two semicolons, and those of after.

        >>> Change("split", ("security",), ("military", "veterans")).cell
        'security;;military;veterans'
        """
        return f"{join_cell(self.names)}{_BECOME}{join_cell(self.into)}"

    @property
    def opens(self) -> bool:
        """Whether paragraphs with these topics have to be looked at again."""
        return self.kind in ("split", "drop")

    def become(self, names: Iterable[str]) -> tuple[str, ...]:
        """Topics of before as topics of after, each once and in their order.

        >>> change = Change("merge", ("tariffs", "deals"), ("trade",))
        >>> change.become(["deals", "security", "tariffs"])
        ('trade', 'security')
        """
        after = (self.into if name in self.names else (name,) for name in names)
        return tuple(dict.fromkeys(name for each in after for name in each))

    def entries(self, topics: Topics) -> list[Entry]:
        """The codebook after the change.

        A renamed topic keeps its definition and its patterns. Those of merged topics are joined.
        The topics of a split have their names as definitions until somebody writes better ones.

        Raises
        ------
        UserError
            A topic is unknown, a new name is refused or there already, or fewer than two topics
            would be left.
        """
        known = {topic.name: topic for topic in topics.topics}
        for name in self.names:
            if name not in known:
                raise UserError(
                    f'the codebook has no topic "{name}"{nearest(name, known)}; it has '
                    f"{', '.join(known)}"
                )
        for name in self.into:
            reused = self.kind != "rename" and name in self.names
            if name in known and not reused:
                raise UserError(
                    f'the codebook has a topic "{name}" already; take another name, or put topics '
                    "together with `paratopic codebook merge`"
                )
        entries = []
        try:
            new = self._new(known)
            for topic in topics.topics:
                if topic.name == self.names[0]:
                    entries += new
                elif topic.name not in self.names:
                    entries.append(Entry(topic, topic.name))
            Topics(topics.mode, tuple(entry.topic for entry in entries))
        except ValueError as error:
            raise UserError(f"{self.kind}: {error}") from None
        return entries

    def _new(self, known: Mapping[str, Topic]) -> list[Entry]:
        """What takes the place of the first topic."""
        first = known[self.names[0]]
        match self.kind:
            case "rename":
                return [Entry(replace(first, name=self.into[0]), first.name)]
            case "merge":
                return [Entry(_merged(self.into[0], [known[name] for name in self.names]), None)]
            case "split":
                return [
                    Entry(first, name)
                    if name == first.name
                    else Entry(
                        Topic(name, first_definition(name) if first.definition else ""), None
                    )
                    for name in self.into
                ]
            case "drop":
                return []


def first_definition(name: str) -> str:
    """The name of a topic as its definition, until somebody writes a better one.

    >>> first_definition("diplomacy_venue")
    'Diplomacy venue.'
    """
    words = " ".join(name.replace("_", " ").split())
    return f"{words[:1].upper()}{words[1:]}."


def written(topic: Topic, indent: str) -> str:
    """Write a topic as an entry of the codebook in params.yaml.

    >>> print(written(Topic("trade", "Trade."), "  "), end="")
      - name: trade
        definition: "Trade."

    Parameters
    ----------
    topic
        The topic. One with a name alone becomes a line with the name.
    indent
        Blanks before the dash.
    """
    if topic == Topic(topic.name):
        return f"{indent}- {scalar(topic.name)}\n"
    lines = [f"{indent}- name: {scalar(topic.name)}"]
    if topic.definition:
        lines += _definition(topic.definition, f"{indent}  ")
    for key in PATTERNS:
        if pattern := getattr(topic, key):
            lines.append(f"{indent}  {key}: {_verbatim(pattern)}")
    return "\n".join(lines) + "\n"


def edited(text: str, entries: Sequence[Entry]) -> str:
    """Edit the codebook in the text of params.yaml.

    Comments go with the entry that they stand before, but for those above the first one, which
    stay. In a codebook in brackets comments are lost.

    Parameters
    ----------
    text
        The text of a params.yaml that can be read.
    entries
        The codebook as it is to be.
    """
    codebook = _codebook(text)
    nodes = {_name_node(node).value: node for node in codebook.value}
    kept = {entry.kept: entry.topic.name for entry in entries if entry.kept is not None}
    begin, end = codebook.start_mark.index, codebook.end_mark.index
    if codebook.flow_style:
        bodies = [
            _renamed(text, nodes[kept], topic.name, nodes[kept].start_mark.index, _end(nodes[kept]))
            if kept is not None
            else _in_brackets(topic)
            for topic, kept in entries
        ]
        return f"{text[:begin]}[{', '.join(bodies)}]{text[end:]}"
    begin = text.rfind("\n", 0, begin) + 1
    pieces, after = {}, begin
    for name, node in nodes.items():
        last = text[: _end(node)].rstrip()
        line_end = text.find("\n", len(last))
        before, after = after, len(text) if line_end < 0 else line_end + 1
        if name in kept:
            piece = _renamed(text, node, kept[name], before, after)
            pieces[name] = piece if piece.endswith("\n") else f"{piece}\n"
    indent = " " * codebook.start_mark.column
    block = "".join(
        pieces[kept] if kept is not None else written(topic, indent) for topic, kept in entries
    )
    return f"{text[:begin]}{block}{text[after:]}"


def _merged(name: str, topics: Sequence[Topic]) -> Topic:
    """One topic for several: descriptions first, then doubtful cases, and patterns that any has."""
    descriptions = [topic.description for topic in topics]
    cases = [topic.definition.strip().removeprefix(topic.description) for topic in topics]
    definition = " ".join(part.strip() for part in [*descriptions, *cases] if part.strip())
    patterns = ([getattr(topic, key) for topic in topics] for key in PATTERNS)
    return Topic(name, definition, *("|".join(filter(None, each)) for each in patterns))


def _codebook(text: str) -> Any:
    """The node of the codebook, which knows where it stands in the text."""
    from ruamel.yaml import YAML

    node = YAML(typ="safe", pure=True).compose(text)
    for key in ("topics", "codebook"):
        node = next(value for name, value in node.value if name.value == key)
    return node


def _name_node(entry: Any) -> Any:
    """The node of an entry's name, which is the entry itself where there is nothing else."""
    if isinstance(entry.value, str):
        return entry
    return next(value for key, value in entry.value if key.value == "name")


def _end(node: Any) -> int:
    """Where a node's last character stands; a block's own end is at what comes next."""
    if isinstance(node.value, str) or node.flow_style:
        return int(node.end_mark.index)
    return max(_end(value) for _, value in node.value)


def _renamed(text: str, node: Any, name: str, begin: int, end: int) -> str:
    """A part of the text, with another name for the topic of an entry in it."""
    old = _name_node(node)
    if old.value == name:
        return text[begin:end]
    first, last = old.start_mark.index, old.end_mark.index
    return f"{text[begin:first]}{scalar(name)}{text[last:end]}"


def _in_brackets(topic: Topic) -> str:
    if topic == Topic(topic.name):
        return scalar(topic.name)
    parts = {key: getattr(topic, key) for key in ("name", "definition", *PATTERNS)}
    return "{" + ", ".join(f"{key}: {_quoted(part)}" for key, part in parts.items() if part) + "}"


def scalar(text: str) -> str:
    """Write a text on one line of YAML, in quotes where it would mean something else.

    >>> scalar("body"), scalar("16")
    ('body', '"16"')
    """
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _definition(definition: str, indent: str) -> list[str]:
    quoted = f"{indent}definition: {_quoted(definition)}"
    if len(quoted) <= LONGEST_LINE or not _FOLDABLE.fullmatch(definition):
        return [quoted]
    deeper = f"{indent}  "
    folded = textwrap.wrap(
        definition,
        LONGEST_LINE,
        initial_indent=deeper,
        subsequent_indent=deeper,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"{indent}definition: >-", *folded]


def _verbatim(pattern: str) -> str:
    """A text in single quotes, in which a backslash means itself."""
    return "'" + pattern.replace("'", "''") + "'"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
