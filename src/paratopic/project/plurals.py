"""Numbers of things, in words, for messages. Other languages than English are not for here."""

from __future__ import annotations


def plural(n: int, one: str, many: str | None = None) -> str:
    """Write a number and what it counts.

    >>> plural(1, "article"), plural(2000, "article")
    ('1 article', '2,000 articles')
    >>> plural(1, "label is", "labels are"), plural(0, "label is", "labels are")
    ('1 label is', '0 labels are')

    Parameters
    ----------
    one
        What it counts, if it is one.
    many
        What it counts otherwise; by default `one` with an s.
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
