"""Change the codebook: what becomes of its topics, and of their entries in params.yaml.

The file is edited as text, so that comments and everything beside the codebook stay as they are.
The names of before stay in it, as `was` of a topic or in `retired`: `Topics.today` reads labels by
them. This module does not read or write files (`cli.codebook` does).
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from paratopic.project.errors import UserError
from paratopic.project.topics import Topic, Topics, nearest

Kind = Literal["rename", "merge", "split", "drop"]

# A text that means itself in YAML.
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off)\b)[a-z][a-z_]*", re.I)
# A text that stays the same if it is folded over several lines.
_FOLDABLE = re.compile(r"[!-~\u00a1-\u024f]+(?: [!-~\u00a1-\u024f]+)*")
LONGEST_LINE = 100
# Keys of a topic that are regular expressions.
PATTERNS = "heading", "pattern"


@dataclass(frozen=True)
class Change:
    """A change of the codebook.

    Parameters
    ----------
    into
        The topics that they become; empty for ``"drop"``.

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
        becomes = {"rename": "is renamed to", "merge": "are merged into", "split": "is split into"}
        words = becomes.get(self.kind, "is dropped")
        return f"{', '.join(self.names)} {words} {', '.join(self.into)}".strip()

    @property
    def opens(self) -> bool:
        """Whether paragraphs with these topics have to be labelled again."""
        return self.kind in ("split", "drop")

    def topics(self, before: Topics) -> Topics:
        """The codebook after the change, which knows the names of before.

        A renamed topic keeps its definition and its patterns. Those of merged topics are joined.
        The topics of a split have their names as definitions until somebody writes better ones.

        Raises
        ------
        UserError
            A topic is unknown, a new name is refused or there already, or fewer than two topics
            would be left.
        """
        known = {topic.name: topic for topic in before.topics}
        self._check(known)
        codebook, retired = [], dict(before.retired)
        try:
            for topic in known.values():
                if topic.name == self.names[0]:
                    codebook += self._new(known)
                elif topic.name not in self.names:
                    codebook.append(topic)
            if self.opens:
                gone = known[self.names[0]]
                retired |= dict.fromkeys((gone.name, *gone.was), self.into)
            return Topics(before.mode, tuple(codebook), retired)
        except ValueError as error:
            raise UserError(f"{self.kind}: {error}") from None

    def kept(self, name: str) -> str | None:
        """Name that a topic of the codebook after the change had before; None for a new one."""
        if name not in self.into:
            return name
        return self.names[0] if self.kind == "rename" else None

    def _check(self, known: Collection[str]) -> None:
        """Refuse unknown names, and new names that are there already."""
        for name in self.names:
            if name not in known:
                raise UserError(
                    f'the codebook has no topic "{name}"{nearest(name, known)}; it has '
                    f"{', '.join(known)}"
                )
        for name in self.into:
            if name in known and not (self.kind == "merge" and name in self.names):
                raise UserError(
                    f'the codebook has a topic "{name}" already; '
                    + (
                        "the parts of a split need new names, so that a label tells which is meant"
                        if self.kind == "split"
                        else "take another name, or put topics together with `paratopic codebook "
                        "merge`"
                    )
                )

    def _new(self, known: Mapping[str, Topic]) -> list[Topic]:
        """What takes the place of the first topic."""
        first = known[self.names[0]]
        names = [name for old in self.names for name in (*known[old].was, old)]
        was = tuple(name for name in names if name not in self.into)
        match self.kind:
            case "rename":
                return [replace(first, name=self.into[0], was=was)]
            case "merge":
                merged = _merged(self.into[0], [known[name] for name in self.names])
                return [replace(merged, was=was)]
            case "split":
                defined = bool(first.definition)
                return [
                    Topic(name, first_definition(name) if defined else "") for name in self.into
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
    """Write a topic as an entry of the codebook in params.yaml: a name alone as a line with it.

    >>> print(written(Topic("trade", "Trade."), "  "), end="")
      - name: trade
        definition: "Trade."
    """
    if topic == Topic(topic.name):
        return f"{indent}- {scalar(topic.name)}\n"
    lines = [f"{indent}- name: {scalar(topic.name)}"]
    if topic.was:
        lines.append(f"{indent}  was: {_listed(topic.was)}")
    if topic.definition:
        lines += _definition(topic.definition, f"{indent}  ")
    for key in PATTERNS:
        if pattern := getattr(topic, key):
            lines.append(f"{indent}  {key}: {_verbatim(pattern)}")
    return "\n".join(lines) + "\n"


def edited(text: str, change: Change, before: Topics) -> str:
    """Edit the codebook in the text of params.yaml.

    Comments go with the entry that they stand before, but for those above the first one, which
    stay. In a codebook in brackets comments are lost.
    """
    after = change.topics(before)
    entries = [(topic, change.kept(topic.name)) for topic in after.topics]
    new = {name: parts for name, parts in after.retired.items() if name not in before.retired}
    section = _value(_root(text), "topics")
    codebook = _value(section, "codebook")
    nodes = {_name_node(node).value: node for node in codebook.value}
    of_kept = {kept: topic for topic, kept in entries if kept is not None}
    begin, end = codebook.start_mark.index, codebook.end_mark.index
    if codebook.flow_style:
        bodies = [
            _with_names(text, nodes[kept], topic, nodes[kept].start_mark.index, _end(nodes[kept]))
            if kept is not None
            else _in_brackets(topic)
            for topic, kept in entries
        ]
        listed = f"{text[:begin]}[{', '.join(bodies)}]"
    else:
        begin = text.rfind("\n", 0, begin) + 1
        pieces, end = {}, begin
        for name, node in nodes.items():
            start, end = end, _line_end(text, _end(node))
            if name in of_kept:
                piece = _with_names(text, node, of_kept[name], start, end)
                pieces[name] = piece if piece.endswith("\n") else f"{piece}\n"
        indent = " " * codebook.start_mark.column
        block = "".join(
            pieces[kept] if kept is not None else written(topic, indent) for topic, kept in entries
        )
        listed = f"{text[:begin]}{block}"
    return f"{listed}{_with_retired(text[end:], section, end, new)}"


def _with_retired(rest: str, section: Any, begin: int, new: Mapping[str, Sequence[str]]) -> str:
    """The text after the codebook, which begins there in the file, with further retired names."""
    if not new:
        return rest
    lines = [f"{scalar(name)}: {_listed(parts)}" for name, parts in new.items()]
    there = next((value for key, value in section.value if key.value == "retired"), None)
    if there is None and section.flow_style:
        return f", retired: {{{', '.join(lines)}}}{rest}"
    if there is None:
        indent = " " * section.value[0][0].start_mark.column
        return f"{indent}retired:\n" + "".join(f"{indent}  {line}\n" for line in lines) + rest
    place = _end(there) - begin
    if there.flow_style:
        comma = ", " if there.value else ""
        return f"{rest[: place - 1]}{comma}{', '.join(lines)}{rest[place - 1 :]}"
    place = _line_end(rest, place)
    indent = " " * there.start_mark.column
    return rest[:place] + "".join(f"{indent}{line}\n" for line in lines) + rest[place:]


def _line_end(text: str, place: int) -> int:
    """Where the line after the last character before a place begins."""
    line_end = text.find("\n", len(text[:place].rstrip()))
    return len(text) if line_end < 0 else line_end + 1


def _merged(name: str, topics: Sequence[Topic]) -> Topic:
    """One topic for several: descriptions first, then doubtful cases, and patterns that any has."""
    descriptions = [topic.description for topic in topics]
    cases = [topic.definition.strip().removeprefix(topic.description) for topic in topics]
    definition = " ".join(part.strip() for part in [*descriptions, *cases] if part.strip())
    heading, pattern = (
        "|".join(filter(None, (getattr(topic, key) for topic in topics))) for key in PATTERNS
    )
    return Topic(name, definition, heading, pattern)


def _root(text: str) -> Any:
    """The node of the whole file, which knows where each part stands in the text."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).compose(text)


def _value(node: Any, key: str) -> Any:
    return next(value for name, value in node.value if name.value == key)


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


def _with_names(text: str, node: Any, topic: Topic, begin: int, end: int) -> str:
    """A part of the text with an entry in it, which gets the names of a topic."""
    name, was = _name_node(node), f"was: {_listed(topic.was)}"
    edits = [(name.start_mark.index, name.end_mark.index, scalar(topic.name))]
    keys = {} if node is name else {key.value: value for key, value in node.value}
    if name.value == topic.name:
        return text[begin:end]
    if "was" in keys:
        edits.append((keys["was"].start_mark.index, _end(keys["was"]), _listed(topic.was)))
    elif topic.was and node is name:
        edits[0] = (*edits[0][:2], f"{{name: {scalar(topic.name)}, {was}}}")
    elif topic.was and node.flow_style:
        edits[0] = (*edits[0][:2], f"{scalar(topic.name)}, {was}")
    elif topic.was:
        place = _line_end(text, name.end_mark.index)
        edits.append((place, place, f"{' ' * node.start_mark.column}{was}\n"))
    for first, last, new in sorted(edits, reverse=True):
        text = text[:first] + new + text[last:]
        end += len(new) - (last - first)
    return text[begin:end]


def _in_brackets(topic: Topic) -> str:
    if topic == Topic(topic.name):
        return scalar(topic.name)
    parts = {key: getattr(topic, key) for key in ("name", "definition", *PATTERNS)}
    cells = [f"{key}: {_quoted(part)}" for key, part in parts.items() if part]
    cells += [f"was: {_listed(topic.was)}"] if topic.was else []
    return "{" + ", ".join(cells) + "}"


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


def _listed(names: Sequence[str]) -> str:
    return f"[{', '.join(map(scalar, names))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
