"""What `prepare.sources` of params.yaml says: where articles and tables are, and a table's columns.

This module reads no file (`reading.sources` and `tables` do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from paratopic.project.topics import NONE_CELL, UNDECIDED, split_cell

# Keys of the columns that tell what stands around a text.
CONTEXT_COLUMNS = "text_preceding", "text_following", "heading", "title"


@dataclass(frozen=True)
class Source:
    """One entry of `prepare.sources`.

    The columns of a table are those of the keys' names, unless a key names another one. A column
    that is named has to be there. Null means that the table has no such column, whatever its
    columns are called.

    Parameters
    ----------
    path
        A file, a folder or a glob.
    text, label
        Columns with the paragraphs, and with their topics.
    group
        Column that says which rows belong together, such as to one speech.
    position
        Column with the place of a row in its group.
    text_preceding, text_following
        Columns with the neighbours of a paragraph.
    heading, title
        Columns with the heading of a row's section, and the title of its article.
    drawn
        Column that says how a labelled row was drawn.
    id
        Column with the rows' own ids, which paragraph ids then end with.
    date
        Column that becomes the field `date`.
    random
        Whether all labelled rows are a random sample of the table's rows.
    labels
        A label of the table → the topic that it means, or several separated by semicolons, or
        `NONE_CELL`, or `UNDECIDED`. A label that is not there means the topic of its name. Empty by
        default.
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
        """Key → the column that it stands for; keys that are null are left out."""
        named = {key: getattr(self, key) for key in KEYS}
        return {key: name or key for key, name in named.items() if name is not None}

    @property
    def named(self) -> dict[str, str]:
        """The keys that name a column, and these columns."""
        return {key: name for key in KEYS if (name := getattr(self, key))}

    def meaning(self, cell: str) -> list[str] | None:
        """The topics that a label means, as a whole or else by the names in it; None for no label.

        >>> Source("t.csv", labels={"Econ": "trade"}).meaning("Econ; security")
        ['trade', 'security']
        >>> Source("t.csv", labels={"Law; order": "law"}).meaning("Law; order")
        ['law']
        >>> Source("t.csv", labels={"N/A": "?"}).meaning("N/A")
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


# The keys that stand for columns.
KEYS = tuple(key.name for key in fields(Source) if key.name not in ("path", "random", "labels"))


def entry(source: Source) -> str | dict[str, Any]:
    """Make a source an entry of `prepare.sources`: a path alone, or a mapping of what is not usual.

    >>> entry(Source("t.csv", text="body", labels={"Econ": "trade"}))
    {'path': 't.csv', 'text': 'body', 'labels': {'Econ': 'trade'}}
    """
    usual = asdict(Source(""))
    values = {key: value for key, value in asdict(source).items() if value != usual[key]}
    return source.path if source == Source(source.path) else values
