"""Change the codebook: what becomes of its topics, and of their entries in its file.

The file is read and written by a round trip, so that comments and everything beside the codebook
stay. The names of before stay in it, as `was` of a topic or in `retired`: `Topics.today` reads
labels by them.
"""

from __future__ import annotations

import io
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString
from ruamel.yaml.tokens import CommentToken
from ruamel.yaml.util import load_yaml_guess_indent

from paratopic.project.errors import MOST_NAMED, UserError, did_you_mean, in_short
from paratopic.project.files import aside, read_text, refuse_outside
from paratopic.project.topics import Topic, Topics, composed, first_definition

Kind = Literal["rename", "merge", "split", "drop"]

# Characters of a line of a definition.
WIDTH = 92


@dataclass(frozen=True)
class Change:
    """A change of the codebook.

    Parameters
    ----------
    into
        The topics that they become; empty for ``"drop"``.

    Raises
    ------
    UserError
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
            raise UserError("merge needs at least two topics, and one name after --into")
        if self.kind == "split" and after < 2:
            raise UserError("split needs one topic, and at least two after --into")

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


def entry(topic: Topic) -> str | CommentedMap:
    """Make a topic an entry of the codebook: a name alone, or a mapping of the keys that it has."""
    if topic == Topic(topic.name):
        return topic.name
    keys = "name", "was", "definition", "heading", "pattern"
    values = {key: value for key in keys if (value := getattr(topic, key))}
    lines = textwrap.wrap(topic.definition, WIDTH, break_on_hyphens=False)
    if len(lines) > 1 and " ".join(lines) == topic.definition and topic.definition.isprintable():
        values["definition"] = YAML().load("\n  ".join([">-", *lines]))
    return CommentedMap(values | ({"was": listed(topic.was)} if topic.was else {}))


def edit(path: Path, root: Path, change: Callable[[CommentedMap], None]) -> None:
    """Edit the values of a YAML file in the project with a root.

    Comments, order, quotes and permissions stay, and a link stays one.
    """
    refuse_outside(path, root)
    text = read_text(path)
    yaml, new = YAML(), io.StringIO()
    yaml.preserve_quotes = True
    document, indent, offset = load_yaml_guess_indent(text.replace("\r\n", "\n"), yaml=yaml)
    change(document)
    yaml.width, yaml.Representer = sys.maxsize, _Representer  # lines stay as long as they are
    yaml.indent(sequence=4 if offset is None else indent, offset=2 if offset is None else offset)
    yaml.dump(document, new)
    if YAML(typ="safe", pure=True).load(new.getvalue()) != document:
        raise UserError(f"{path} cannot be edited as it is written: edit it by hand")
    target = path.resolve() if path.is_symlink() else path
    with aside(target) as draft:
        draft.write_bytes(new.getvalue().replace("\n", "\r\n" if "\r\n" in text else "\n").encode())
        shutil.copymode(target, draft)


def change_entries(change: Change, before: Topics, file: CommentedMap) -> None:
    """Change the entries in a file that has the codebook.

    Comments go with the entry below them, but for those above the first one, which stay.
    """
    place, key = _topics_in(file)
    after, entries = change.topics(before), place[key]
    new = [topic for topic in after.topics if topic not in before.topics]
    for number, name in reversed([*enumerate(before.names)]):
        if name in change.names and change.kind == "rename":
            _rename(entries, number, new[0])
        elif name in change.names:
            _replace(entries, number, new if name == change.names[0] else [])
    _retire(place, {n: to for n, to in after.retired.items() if n not in before.retired})


def _topics_in(file: CommentedMap) -> tuple[CommentedMap, str]:
    """The mapping that has the topics and `retired` in that file, and the key of the topics."""
    is_own = isinstance(file["topics"], list)
    return (file, "topics") if is_own else (file["topics"], "codebook")


def set_topics(topics: Topics, file: CommentedMap) -> None:
    """Replace the topics in that file, and the comments between them."""
    place, key = _topics_in(file)
    set_value(place, key, CommentedSeq(map(entry, topics.topics)))
    if "retired" in place:
        set_value(place, "retired", CommentedMap())
    _retire(place, topics.retired)


def set_value(place: CommentedMap, key: str, value: object) -> None:
    """Set a value of a mapping that has some; comments below it stay there."""
    below = _below(place, key if key in place else [*place][-1])
    place[key] = value
    _below(place, key, below)


def _retire(place: CommentedMap, retired: Mapping[str, Sequence[str]]) -> None:
    """Add names, if any, to those that are retired."""
    if retired:
        below = _below(place, "retired" if "retired" in place else [*place][-1])
        names = {name: listed(parts) for name, parts in retired.items()}
        place.setdefault("retired", CommentedMap()).update(names)
        _below(place, "retired", below)


def _rename(entries: CommentedSeq, number: int, topic: Topic) -> None:
    """Give an entry the name of a topic and its former ones."""
    below, node = _below(entries, number), entries[number]
    if isinstance(node, str):
        entries[number] = node = CommentedMap(name=node)
        node.ca.items["name"] = [None, None, entries.ca.items.pop(number)[0], None]
    node["name"] = topic.name
    if "was" not in node:
        node.insert([*node].index("name") + 1, "was", None)
    node["was"] = listed(topic.was)
    _below(entries, number, below)


def _replace(entries: CommentedSeq, number: int, new: Sequence[Topic]) -> None:
    """Put new entries, or none, in place of one."""
    below = _below(entries, number)
    for topic in new[::-1]:
        entries.insert(number + 1, entry(topic))
    del entries[number]
    if last := number + len(new):
        _below(entries, last - 1, below)
    elif below:
        entries.ca.items.setdefault(0, [None] * 4)[1] = [CommentToken(below, CommentMark(0), None)]


def _below(node: CommentedMap | CommentedSeq, key: str | int, new: str = "") -> str:
    """Replace the comments and empty lines below a value; returns those that were there.

    They are whole lines, which ruamel keeps at the last scalar of the value. A comment beside it
    stays.
    """
    value = node[key]
    if isinstance(value, (CommentedMap, CommentedSeq)) and value and not value.fa.flow_style():
        last = [*value][-1] if isinstance(value, CommentedMap) else len(value) - 1
        return _below(value, last, new)
    tokens = node.ca.items.setdefault(key, [None] * 4)
    place = 2 if isinstance(node, CommentedMap) else 0
    token = tokens[place] or CommentToken("", CommentMark(0), None)
    if isinstance(value, (FoldedScalarString, LiteralScalarString)):
        tokens[place] = CommentToken(new, CommentMark(0), None) if new else None
        return " " * token.start_mark.column + token.value
    beside, _, old = token.value.partition("\n")
    tokens[place] = CommentToken(f"{beside}\n{new}", token.start_mark, None)
    return old


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


class _Representer(RoundTripRepresenter):
    """Writes null as null."""


_Representer.add_representer(
    type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null")
)


def listed(names: Sequence[str]) -> CommentedSeq:
    """A list on one line."""
    listed = CommentedSeq(names)
    listed.fa.set_flow_style()
    return listed
