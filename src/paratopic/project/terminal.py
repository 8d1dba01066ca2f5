"""What programs show: tables on stdout, and the progress of long work on stderr.

Progress is a bar on a terminal, and elsewhere, such as in a log, a few lines. The caller decides
what counts as a step of the work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

# A log has a line for each step if there are at most so many, and else one for each tenth.
MOST_LINES, TENTHS = 20, 10
# Seconds between two lines in a log, at least.
LOG_INTERVAL = 10.0
# Share of a step after which the first line comes.
FIRST = 0.25
# Times a second that a terminal is drawn, at most.
REDRAWS = 4
# Seconds of past work from which the time left is told: a single step may take minutes.
MEASURED = 3600.0


class Advance(Protocol):
    """Shows that a number of steps are done, and a note on them, by default none."""

    def __call__(self, done: float, note: str = "") -> None: ...


def terminal() -> Console:
    """Stdout, on which names and texts are as they are, whatever brackets and colons they have."""
    return Console(markup=False, emoji=False)


def listing(rows: Iterable[tuple[str, Iterable[str]]]) -> Table:
    """Lay out what each row is about, such as a line of a file, and beside it lines of text."""
    table = Table.grid(padding=(0, 2, 1, 0))
    for where, lines in rows:
        table.add_row(where, Text("\n".join(lines), overflow="fold"))
    return table


def waiting(what: str) -> AbstractContextManager[object]:
    """Say what is being done ("reading the paragraphs") while the block runs, on a terminal."""
    console, is_terminal = _stderr()
    return console.status(what, refresh_per_second=REDRAWS) if is_terminal else nullcontext()


@contextmanager
def bar(label: str, total: int) -> Iterator[Advance]:
    """Show a progress bar on stderr while the block runs; where that is no terminal, print lines.

    A line is printed as soon as `LOG_INTERVAL` seconds are over, to show how long it will take,
    and then after each step, or after a tenth of the work if there are many steps or one. It comes
    `LOG_INTERVAL` seconds after the line before it at the earliest, and not after the last step.

    Yields
    ------
    A function to call with the number of steps done so far; of 1 step, the share that is done.
    """
    console, is_terminal = _stderr()
    if not is_terminal:
        yield _lines(console, label, total)
        return
    with Progress(
        TextColumn(label),
        TextColumn("{task.fields[amount]}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        refresh_per_second=REDRAWS,
        speed_estimate_period=MEASURED,
    ) as progress:
        task = progress.add_task(label, total=total, note="", amount=_done(0, total))

        def advance(done: float, note: str = "") -> None:
            progress.update(task, completed=done, note=note, amount=_done(done, total))

        yield advance


def _stderr() -> tuple[Console, bool]:
    """Stderr, silent where notes are not wanted either, and whether it is a terminal."""
    wanted = logging.getLogger("paratopic").isEnabledFor(logging.WARNING)
    console = Console(stderr=True, quiet=not wanted)
    # Not `console.is_terminal`, which FORCE_COLOR makes true of a log as well.
    return console, console.file.isatty()


def _done(done: float, total: float) -> str:
    """How much is done: "3 of 15", or the share of a single step.

    >>> _done(3.4, 15), _done(0.4, 1)
    ('3 of 15', '40%')
    """
    return f"{done:.0%}" if total == 1 else f"{int(done):,} of {int(total):,}"


def duration(seconds: float) -> str:
    """A time that is about right.

    >>> duration(49.6), duration(170), duration(7000)
    ('50 s', '3 min', '117 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _lines(console: Console, label: str, total: int) -> Advance:
    """Progress in lines: "transformer: fit 3 of 15, about 4 min left"."""
    n_lines = total if 1 < total <= MOST_LINES else TENTHS
    started = when = time.monotonic()
    shown = 0
    first: tuple[float, float] | None = None

    def advance(done: float, note: str = "") -> None:
        """Print a line if there is news."""
        nonlocal shown, when, first
        part, now = int(done * n_lines / total), time.monotonic()
        # What is loaded before the first step takes long beside it, and does not come again.
        since, before = first or (started, 0.0)
        first = first or (now, done)
        is_first = when == started and done * n_lines >= FIRST * total
        is_news = done > before and (part > shown or is_first)
        if is_news and part < n_lines and now - when >= LOG_INTERVAL:
            shown, when = part, now
            left = f"about {duration((now - since) * (total - done) / (done - before))} left"
            words = ", ".join(filter(None, [f"{label} {_done(done, total)}", note, left]))
            console.print(words, highlight=False, soft_wrap=True)

    return advance
