"""A progress bar for long work, shown on a terminal only.

The caller decides what counts as a step of the work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def stderr() -> Console:
    """The console of stderr for progress, which shows nothing where notes are not wanted either."""
    wanted = logging.getLogger("paratopic").isEnabledFor(logging.WARNING)
    return Console(stderr=True, quiet=not wanted)


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr while the block runs; show nothing where stderr is no terminal.

    Parameters
    ----------
    label
        Text before the bar.
    total
        Number of steps.

    Yields
    ------
    A function to call with the number of steps done so far.
    """
    console = stderr()
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
