"""Change the topics of the codebook, and their entries in its file.

The file is edited by a round trip, which keeps comments and all other keys. Former names stay in
it, as `was` of a topic or in `retired`, so that `Topics.current_meaning` can read old labels.
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

from paratopic.project.errors import MOST_NAMED, UserError, closest_word_hint, shortened_list
from paratopic.project.files import atomic_write, read_text, refuse_outside
from paratopic.project.topics import Topic, Topics, default_definition, normalized_name

Kind = Literal["rename", "merge", "split", "drop"]

# Number of characters in a line of a definition.
WIDTH = 92


@dataclass(frozen=True)
class Change:
    """A change of the codebook.

    Parameters
    ----------
    kind
        Kind of change.
    names
        The topics that change.
    into
        The topics that replace them. Default: none, for ``"drop"``.

    Raises
    ------
    UserError
        There are too few or too many names.
    """

    kind: Kind
    names: tuple[str, ...]
    into: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(dict.fromkeys(map(normalized_name, self.names))))
        object.__setattr__(self, "into", tuple(dict.fromkeys(map(normalized_name, self.into))))
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
    def needs_relabelling(self) -> bool:
        """Whether paragraphs with these topics have to be labelled again."""
        return self.kind in ("split", "drop")

    def topics(self, before: Topics) -> Topics:
        """The codebook after the change; new topics take the place of the first of `names`.

        A renamed topic keeps its definition and patterns; those of merged topics are joined. `was`
        has the former names. A split or dropped topic moves to `retired`, with its former names.
        Parts of a split have no patterns, and a `default_definition` if the topic has a definition.

        Raises
        ------
        UserError
            A topic is unknown, a new name is invalid or taken, or fewer than two topics would
            remain.
        """
        known = {topic.name: topic for topic in before.topics}
        self._check(known)
        codebook, retired = [], dict(before.retired)
        try:
            for topic in known.values():
                if topic.name == self.names[0]:
                    codebook += self._new_topics(known)
                elif topic.name not in self.names:
                    codebook.append(topic)
            if self.needs_relabelling:
                removed = known[self.names[0]]
                retired |= dict.fromkeys((removed.name, *removed.was), self.into)
            return replace(before, codebook=tuple(codebook), retired=retired)
        except ValueError as error:
            raise UserError(f"{self.kind}: {error}") from None

    def _check(self, known: Collection[str]) -> None:
        """Raise a `UserError` for topics not in `known`, or new names in it, except merged ones."""
        for name in self.names:
            if name not in known:
                raise UserError(
                    f'the codebook has no topic "{name}"{closest_word_hint(name, known)}; it has '
                    f"{shortened_list([*known], MOST_NAMED)}"
                )
        remedy = "take another name, or put topics together with `paratopic codebook merge`"
        if self.kind == "split":
            remedy = "the parts of a split need new names, so that a label tells which is meant"
        for name in self.into:
            if name in known and not (self.kind == "merge" and name in self.names):
                raise UserError(f'the codebook has a topic "{name}" already; {remedy}')

    def _new_topics(self, known: Mapping[str, Topic]) -> list[Topic]:
        """The new topics: none for a drop, parts of a split, or one with former names as `was`."""
        first = known[self.names[0]]
        if self.needs_relabelling:
            if not first.definition:
                return [Topic(name) for name in self.into]
            return [Topic(name, default_definition(name)) for name in self.into]
        new = first if self.kind == "rename" else _merge([known[name] for name in self.names])
        former = [name for old in self.names for name in (*known[old].was, old)]
        former = [name for name in former if name not in self.into]
        return [replace(new, name=self.into[0], was=tuple(former))]


def topic_entry(topic: Topic) -> str | CommentedMap:
    """Convert a topic to its codebook entry: a name, or a mapping of the keys that it has."""
    if topic == Topic(topic.name):
        return topic.name
    keys = "name", "was", "definition", "heading", "pattern"
    values = {key: getattr(topic, key) for key in keys if getattr(topic, key)}
    lines = textwrap.wrap(topic.definition, WIDTH, break_on_hyphens=False)
    if len(lines) > 1 and " ".join(lines) == topic.definition and topic.definition.isprintable():
        values["definition"] = YAML().load("\n  ".join([">-", *lines]))
    if topic.was:
        values["was"] = flow_list(topic.was)
    return CommentedMap(values)


def edit_yaml(path: Path, root: Path, change: Callable[[CommentedMap], None]) -> None:
    """Edit a YAML file in the project with this root: `change` edits its values in place.

    Comments, order, quotes, line ends and permissions stay, and a link stays a link. A `UserError`
    refuses a file outside of the project, a missing one, and one whose new text does not read back
    as the edited values. The file then stays as it was.
    """
    refuse_outside(path, root)
    text = read_text(path)
    yaml, edited = YAML(), io.StringIO()
    yaml.preserve_quotes = True
    document, indent, offset = load_yaml_guess_indent(text.replace("\r\n", "\n"), yaml=yaml)
    change(document)
    yaml.width, yaml.Representer = sys.maxsize, _Representer  # lines stay as long as they are
    yaml.indent(sequence=4 if offset is None else indent, offset=2 if offset is None else offset)
    yaml.dump(document, edited)
    if YAML(typ="safe", pure=True).load(edited.getvalue()) != document:
        raise UserError(f"{path} cannot be edited as it is written: edit it by hand")
    target = path.resolve() if path.is_symlink() else path
    line_end = "\r\n" if "\r\n" in text else "\n"
    with atomic_write(target) as draft:
        draft.write_bytes(edited.getvalue().replace("\n", line_end).encode())
        shutil.copymode(target, draft)


def change_entries(change: Change, before: Topics, file: CommentedMap) -> None:
    """Apply a rename, merge, split or drop to the parsed file of the topics `before`, in place.

    Comments move with the entry below them, except for those above the first entry, which stay. An
    impossible change raises the `UserError` of `Change.topics` before any edit.
    """
    parent, key = _topics_location(file)
    after, entries = change.topics(before), parent[key]
    new = [topic for topic in after.topics if topic not in before.topics]
    for number, name in reversed([*enumerate(before.names)]):
        if name in change.names and change.kind == "rename":
            _rename(entries, number, new[0])
        elif name in change.names:
            _replace(entries, number, new if name == change.names[0] else [])
    _retire(parent, {n: to for n, to in after.retired.items() if n not in before.retired})


def _topics_location(file: CommentedMap) -> tuple[CommentedMap, str]:
    """The mapping in a file that contains the topics and `retired`, and the key of the topics."""
    is_codebook_file = isinstance(file["topics"], list)
    return (file, "topics") if is_codebook_file else (file["topics"], "codebook")


def set_topics(topics: Topics, file: CommentedMap) -> None:
    """Replace the topics and `retired` in a parsed file, including the comments between them."""
    parent, key = _topics_location(file)
    set_value(parent, key, CommentedSeq(map(topic_entry, topics.topics)))
    if "retired" in parent:
        set_value(parent, "retired", CommentedMap())
    _retire(parent, topics.retired)


def set_value(parent: CommentedMap, key: str, value: object) -> None:
    """Set a value of a mapping that is not empty; the comments below the value stay."""
    comments = _swap_comments(parent, key if key in parent else [*parent][-1])
    parent[key] = value
    _swap_comments(parent, key, comments)


def _retire(parent: CommentedMap, retired: Mapping[str, Sequence[str]]) -> None:
    """Add names, if any, to the retired ones."""
    if retired:
        comments = _swap_comments(parent, "retired" if "retired" in parent else [*parent][-1])
        names = {name: flow_list(parts) for name, parts in retired.items()}
        parent.setdefault("retired", CommentedMap()).update(names)
        _swap_comments(parent, "retired", comments)


def _rename(entries: CommentedSeq, number: int, topic: Topic) -> None:
    """Set `name` and `was` of entry `number`, from 0, to a topic's; a str becomes a mapping."""
    comments, node = _swap_comments(entries, number), entries[number]
    if isinstance(node, str):
        entries[number] = node = CommentedMap(name=node)
        node.ca.items["name"] = [None, None, entries.ca.items.pop(number)[0], None]
    node["name"] = topic.name
    if "was" not in node:
        node.insert([*node].index("name") + 1, "was", None)
    node["was"] = flow_list(topic.was)
    _swap_comments(entries, number, comments)


def _replace(entries: CommentedSeq, number: int, new: Sequence[Topic]) -> None:
    """Replace entry `number`, from 0, by entries of `new`, or remove it; comments below it stay."""
    comments = _swap_comments(entries, number)
    for topic in new[::-1]:
        entries.insert(number + 1, topic_entry(topic))
    del entries[number]
    if last := number + len(new):
        _swap_comments(entries, last - 1, comments)
    elif comments:
        token = CommentToken(comments, CommentMark(0), None)
        entries.ca.items.setdefault(0, [None] * 4)[1] = [token]


def _swap_comments(node: CommentedMap | CommentedSeq, key: str | int, new: str = "") -> str:
    """Replace the comments and empty lines below `node[key]` by `new`, and return the old ones.

    These are whole lines, "" for none, which ruamel stores at the last scalar of the value. A
    comment on the line of the value stays.
    """
    value = node[key]
    if isinstance(value, (CommentedMap, CommentedSeq)) and value and not value.fa.flow_style():
        last = [*value][-1] if isinstance(value, CommentedMap) else len(value) - 1
        return _swap_comments(value, last, new)
    tokens = node.ca.items.setdefault(key, [None] * 4)
    slot = 2 if isinstance(node, CommentedMap) else 0
    token = tokens[slot] or CommentToken("", CommentMark(0), None)
    if isinstance(value, (FoldedScalarString, LiteralScalarString)):
        tokens[slot] = CommentToken(new, CommentMark(0), None) if new else None
        return " " * token.start_mark.column + token.value
    same_line, _, old = token.value.partition("\n")
    tokens[slot] = CommentToken(f"{same_line}\n{new}", token.start_mark, None)
    return old


def _merge(topics: Sequence[Topic]) -> Topic:
    """Merge topics under the first name: all descriptions, then all cases; patterns joined by |."""
    descriptions = [topic.description for topic in topics]
    cases = [topic.definition.strip().removeprefix(topic.description) for topic in topics]
    definition = " ".join(part.strip() for part in [*descriptions, *cases] if part.strip())
    heading = "|".join(topic.heading for topic in topics if topic.heading)
    pattern = "|".join(topic.pattern for topic in topics if topic.pattern)
    return Topic(topics[0].name, definition, heading, pattern)


class _Representer(RoundTripRepresenter):
    """Writes null as null."""


_Representer.add_representer(
    type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null")
)


def flow_list(names: Sequence[str]) -> CommentedSeq:
    """Make a list that is written on one line."""
    sequence = CommentedSeq(names)
    sequence.fa.set_flow_style()
    return sequence
