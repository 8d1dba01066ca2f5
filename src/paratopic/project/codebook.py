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
from typing import TYPE_CHECKING, Literal

from paratopic.project.errors import MOST_NAMED, UserError, did_you_mean, in_short
from paratopic.project.topics import Topic, Topics, composed

if TYPE_CHECKING:
    from ruamel.yaml.nodes import CollectionNode

Kind = Literal["rename", "merge", "split", "drop"]

# A text that means itself in YAML.
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off)\b)[a-z][a-z_]*", re.I)
# A text that stays the same if it is folded over several lines.
_FOLDABLE = re.compile(r"[!-~\u00a1-\u024f]+(?: [!-~\u00a1-\u024f]+)*")
LONGEST_LINE = 100
# A part of a text, from one place to another, and what stands there instead.
Edit = tuple[int, int, str]


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
        object.__setattr__(self, "names", tuple(dict.fromkeys(map(composed, self.names))))
        object.__setattr__(self, "into", tuple(dict.fromkeys(map(composed, self.into))))
        before, after = len(self.names), len(self.into)
        if self.kind == "merge" and not (before > 1 and after == 1):
            raise ValueError("merge needs at least two topics, and one name after --into")
        if self.kind == "split" and after < 2:
            raise ValueError("split needs one topic, and at least two after --into")

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
            return replace(before, codebook=tuple(codebook), retired=retired)
        except ValueError as error:
            raise UserError(f"{self.kind}: {error}") from None

    def _check(self, known: Collection[str]) -> None:
        """Refuse unknown names, and new names that are there already."""
        for name in self.names:
            if name not in known:
                raise UserError(
                    f'the codebook has no topic "{name}"{did_you_mean(name, known)}; it has '
                    f"{in_short([*known], MOST_NAMED)}"
                )
        remedy = "take another name, or put topics together with `paratopic codebook merge`"
        if self.kind == "split":
            remedy = "the parts of a split need new names, so that a label tells which is meant"
        for name in self.into:
            if name in known and not (self.kind == "merge" and name in self.names):
                raise UserError(f'the codebook has a topic "{name}" already; {remedy}')

    def _new(self, known: Mapping[str, Topic]) -> list[Topic]:
        """What takes the place of the first topic."""
        first = known[self.names[0]]
        if self.opens:
            defined = bool(first.definition)
            return [Topic(name, first_definition(name) if defined else "") for name in self.into]
        new = first if self.kind == "rename" else _merged([known[name] for name in self.names])
        was = [name for old in self.names for name in (*known[old].was, old)]
        was = [name for name in was if name not in self.into]
        return [replace(new, name=self.into[0], was=tuple(was))]


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
    return f"{indent}- {_body(topic, indent)}\n"


def _body(topic: Topic, indent: str) -> str:
    """An entry without its dash, for all keys that the topic has."""
    if topic == Topic(topic.name):
        return scalar(topic.name)
    keys = "name", "was", "definition", "heading", "pattern"
    values = ((key, getattr(topic, key)) for key in keys)
    cells = {k: scalar(v) if isinstance(v, str) else _listed(v) for k, v in values if v}
    is_long = len(f"{indent}  definition: {cells.get('definition')}") > LONGEST_LINE
    if is_long and _FOLDABLE.fullmatch(topic.definition):
        deeper = f"{indent}    "
        width = LONGEST_LINE - len(deeper)
        folded = textwrap.fill(
            topic.definition, width, break_long_words=False, break_on_hyphens=False
        )
        cells["definition"] = f">-\n{textwrap.indent(folded, deeper)}"
    return f"\n{indent}  ".join(f"{key}: {cell}" for key, cell in cells.items())


def edited(text: str, change: Change, before: Topics) -> str:
    """Edit the codebook in the text of params.yaml, where each topic begins a line.

    Comments go with the entry that they stand before, but for those above the first one, which
    stay. A codebook in brackets comes back damaged: read the text that is returned, to be sure.
    """
    from ruamel.yaml import YAML

    after = change.topics(before)
    text = text if text.endswith("\n") else f"{text}\n"
    # Nodes know where they stand in the text.
    section = _values(YAML(typ="safe", pure=True).compose(text))["topics"]
    codebook = _values(section)["codebook"]
    new = [topic for topic in after.topics if topic not in before.topics]
    if change.kind == "rename":
        (node,) = (each for each in codebook.value if _name(each) == change.names[0])
        edits = _with_names(text, node, new[0])
    else:
        edits = [_with_entries(text, codebook, change.names, new)]
    retired = {name: parts for name, parts in after.retired.items() if name not in before.retired}
    if retired:
        edits.append(_with_retired(text, section, retired))
    for begin, end, instead in sorted(edits, reverse=True):
        text = text[:begin] + instead + text[end:]
    return text


def _with_entries(
    text: str, codebook: CollectionNode, gone: Sequence[str], new: Sequence[Topic]
) -> Edit:
    """The entries of the codebook with new ones at the place of the first of those that go."""
    indent, pieces = " " * codebook.start_mark.column, []
    begin = end = codebook.start_mark.index - len(indent)
    for node in codebook.value:
        start, end, name = end, _line_end(text, node), _name(node)
        if name == gone[0]:
            pieces += [written(topic, indent) for topic in new]
        elif name not in gone:
            pieces.append(text[start:end])
    return begin, end, "".join(pieces)


def _with_retired(text: str, section: CollectionNode, retired: Mapping[str, Sequence[str]]) -> Edit:
    """Further retired names, after those that are there or else after the codebook."""
    lines = [f"{scalar(name)}: {_listed(parts)}" for name, parts in retired.items()]
    values = _values(section)
    there = values.get("retired")
    if there is None:
        lines = ["retired:", *(f"  {line}" for line in lines)]
    elif there.flow_style:
        place, listed = _end(there) - 1, ", ".join(lines)
        return place, place, f", {listed}" if there.value else listed
    place = _line_end(text, there or values["codebook"])
    indent = " " * (there or section).start_mark.column
    return place, place, "".join(f"{indent}{line}\n" for line in lines)


def _with_names(text: str, node: CollectionNode, topic: Topic) -> list[Edit]:
    """An entry with the name of a topic and its former ones."""
    name, was, indent = _name_node(node), _listed(topic.was), node.start_mark.column
    if node is name or node.flow_style:
        return [(node.start_mark.index, _end(node), _body(topic, " " * (indent - 2)))]
    edits = [(name.start_mark.index, name.end_mark.index, scalar(topic.name))]
    if there := _values(node).get("was"):
        return [*edits, (there.start_mark.index, _end(there), was)]
    place = _line_end(text, name)
    return [*edits, (place, place, f"{' ' * indent}was: {was}\n")]


def _line_end(text: str, node: CollectionNode) -> int:
    """Where the line after a node begins."""
    return text.index("\n", len(text[: _end(node)].rstrip())) + 1


def _end(node: CollectionNode) -> int:
    """Where a node's last character stands; a block's own end is at what comes next."""
    if isinstance(node.value, str) or node.flow_style:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _values(node: CollectionNode) -> dict[str, CollectionNode]:
    """Key → the node of its value, in that of a mapping."""
    return {key.value: value for key, value in node.value}


def _name_node(entry: CollectionNode) -> CollectionNode:
    """The node of an entry's name, which is the entry itself where there is nothing else."""
    return entry if isinstance(entry.value, str) else _values(entry)["name"]


def _name(entry: CollectionNode) -> str:
    """The name in an entry, as `Topic` has it."""
    return composed(_name_node(entry).value)


def _merged(topics: Sequence[Topic]) -> Topic:
    """One topic for several: descriptions first, then doubtful cases, and patterns that any has."""
    descriptions = [topic.description for topic in topics]
    cases = [topic.definition.strip().removeprefix(topic.description) for topic in topics]
    definition = " ".join(part.strip() for part in [*descriptions, *cases] if part.strip())
    heading, pattern = (
        "|".join(filter(None, (getattr(topic, key) for topic in topics)))
        for key in ("heading", "pattern")
    )
    return Topic(topics[0].name, definition, heading, pattern)


def scalar(text: str) -> str:
    """Write a text on one line of YAML, in quotes where it would mean something else.

    >>> print(scalar("body"), scalar("16"), scalar(r"\\bnavy"))
    body "16" '\\bnavy'
    """
    if _PLAIN.fullmatch(text):
        return text
    if "\\" in text and text.isprintable():  # in single quotes, a backslash means itself
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=False)


def _listed(names: Sequence[str]) -> str:
    return f"[{', '.join(map(scalar, names))}]"
