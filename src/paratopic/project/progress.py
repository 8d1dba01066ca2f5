"""How far long work is, on a terminal; nothing where stderr is none.

What the work is, and how much of it a step is, is for those to know who do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[float], None]]:
    """Show a bar while the block works; gives a function that is told how much is done."""
    console = Console(stderr=True)
    with Progress(
        TextColumn(label),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=done)
