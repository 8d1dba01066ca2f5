"""Progress of long work: a bar on a terminal, and elsewhere, such as in a log, a line now and then.

The caller decides what counts as a step of the work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Seconds between two lines in a log, at least.
APART = 10.0


def stderr() -> Console:
    """The console of stderr for progress, which shows nothing where notes are not wanted either."""
    wanted = logging.getLogger("paratopic").isEnabledFor(logging.WARNING)
    return Console(stderr=True, quiet=not wanted)


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr while the block runs; where that is no terminal, print lines.

    A line is printed after a step, `APART` seconds after the one before it, and not after the last
    step.

    Parameters
    ----------
    label
        Text before the bar, and of each line.
    total
        Number of steps.

    Yields
    ------
    A function to call with the number of steps done so far.
    """
    console = stderr()
    if not console.is_terminal:
        yield _Lines(console, label, total).advance
        return
    with Progress(
        TextColumn(label),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=done)


class _Lines:
    """Progress in lines: "transformer: fit 3 of 15"."""

    def __init__(self, console: Console, label: str, total: int) -> None:
        self._console, self._label, self._total = console, label, total
        self._shown, self._when = 0, time.monotonic()

    def advance(self, done: float) -> None:
        """Print a line if there is news."""
        steps, now = int(done), time.monotonic()
        if self._shown < steps < self._total and now - self._when >= APART:
            self._shown, self._when = steps, now
            line = f"{self._label} {steps:,} of {self._total:,}"
            self._console.print(line, highlight=False, soft_wrap=True)
