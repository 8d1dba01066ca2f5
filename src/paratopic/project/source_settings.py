"""The entries of `prepare.sources` in params.yaml: paths of articles and tables, and columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from paratopic.project.topics import NONE_CELL, UNDECIDED, split_cell

# Keys of the columns with the context of a text.
CONTEXT_COLUMNS = "text_preceding", "text_following", "heading", "title"


@dataclass(frozen=True)
class Source:
    """One entry of `prepare.sources`.

    A key stands for the column with the key's name, or for another column that it names, which then
    has to exist. Null means that the table has no such column, whatever its columns are called.

    Parameters
    ----------
    path
        A file, a folder or a glob.
    text, label
        Columns with the paragraphs, and with their topics.
    group
        Column with the group of a row, such as a speech.
    position
        Column with the place of a row in its group.
    text_preceding, text_following
        Columns with the neighbours of a paragraph.
    heading, title
        Columns with the heading of a row's section, and the title of its article.
    drawn
        Column with the draw of a labelled row.
    id
        Column with the rows' own ids, with which paragraph ids end.
    date
        Column that becomes the field `date`.
    random
        Whether all labelled rows are a random sample of the table's rows.
    labels
        Label of the table → the topic that it means, several topics separated by semicolons,
        `NONE_CELL` or `UNDECIDED`. Other labels mean the topic of their name. Default: empty.
    """

    # For pydantic, which checks params.yaml.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    path: str
    text: str = ""
    label: str | None = ""
    group: str | None = ""
    position: str | None = ""
    text_preceding: str | None = ""
    text_following: str | None = ""
    heading: str | None = ""
    title: str | None = ""
    drawn: str | None = ""
    id: str | None = ""
    date: str | None = ""
    random: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """Key → its column, without the keys that are null."""
        names = {key: getattr(self, key) for key in KEYS}
        return {key: name or key for key, name in names.items() if name is not None}

    @property
    def named(self) -> dict[str, str]:
        """Key → its column, for the keys that name one."""
        return {key: getattr(self, key) for key in KEYS if getattr(self, key)}

    def label_topics(self, cell: str) -> list[str] | None:
        """The topics that a cell means; [] for none of the topics, None for no label ("" or "?").

        `labels` translates the whole cell or else each name; others stay as they are, even "none".
        A "?" beside other names is left out.

        >>> Source("t.csv", labels={"Econ": "trade"}).label_topics("Econ; security")
        ['trade', 'security']
        >>> Source("t.csv", labels={"Law; order": "law"}).label_topics("Law; order")
        ['law']
        >>> Source("t.csv", labels={"N/A": "?"}).label_topics("N/A")
        """
        parts = [cell] if cell in self.labels else split_cell(cell)
        names = [
            name
            for part in parts
            for name in split_cell(self.labels.get(part, part))
            if name != NONE_CELL or part not in self.labels
        ]
        is_label = parts and set(names) != {UNDECIDED}
        return [name for name in names if name != UNDECIDED] if is_label else None


# Keys that stand for columns.
KEYS = tuple(key.name for key in fields(Source) if key.name not in ("path", "random", "labels"))


def source_entry(source: Source) -> str | dict[str, Any]:
    """Convert a source to an entry of `prepare.sources`: its path, or a mapping without defaults.

    >>> source_entry(Source("t.csv", text="body", labels={"Econ": "trade"}))
    {'path': 't.csv', 'text': 'body', 'labels': {'Econ': 'trade'}}
    """
    defaults = asdict(Source(""))
    values = {key: value for key, value in asdict(source).items() if value != defaults[key]}
    return source.path if source == Source(source.path) else values
