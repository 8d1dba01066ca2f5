"""Output of programs: tables on stdout, and the progress of long work on stderr.

Progress is a bar on a terminal, and a few lines elsewhere, such as in a log.
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

# A log has a line for each step of at most so many, and otherwise a line for each tenth.
MOST_LINES, TENTHS = 20, 10
# Smallest number of seconds between two lines in a log.
LOG_INTERVAL = 10.0
# Share of a line's work after which the first line is printed.
FIRST_SHARE = 0.25
# A terminal is drawn at most so many times a second.
REDRAWS = 4
# The remaining time is estimated from so many seconds of past work: one step may take minutes.
ESTIMATE_PERIOD = 3600.0


class Advance(Protocol):
    """Shows the number of steps done so far, and a note on them, by default none."""

    def __call__(self, done: float, note: str = "") -> None: ...


def stdout_console() -> Console:
    """Stdout, without markup: brackets and colons of names and texts have no meaning."""
    return Console(markup=False, emoji=False)


def two_column_table(rows: Iterable[tuple[str, Iterable[str]]]) -> Table:
    """Lay out the subject of each row, such as a line of a file, and lines of text next to it."""
    table = Table.grid(padding=(0, 2, 1, 0))
    for subject, lines in rows:
        table.add_row(subject, Text("\n".join(lines), overflow="fold"))
    return table


def show_status(text: str) -> AbstractContextManager[object]:
    """Show a text, such as "reading the paragraphs", on a terminal while the block runs."""
    console, is_terminal = _stderr()
    return console.status(text, refresh_per_second=REDRAWS) if is_terminal else nullcontext()


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Advance]:
    """Show a progress bar on stderr while the block runs, or print lines if it is no terminal.

    The first line is printed after `LOG_INTERVAL` seconds, to show how long the work will take.
    Further lines follow after each step, or after each tenth of one step or of many steps. They are
    at least `LOG_INTERVAL` seconds apart, and none follows the last step.

    Yields
    ------
    A function to call with the steps done so far, or the share of a single step, and with a note.
    """
    console, is_terminal = _stderr()
    if not is_terminal:
        yield _line_printer(console, label, total)
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
        speed_estimate_period=ESTIMATE_PERIOD,
    ) as progress:
        task = progress.add_task(label, total=total, note="", amount=_amount(0, total))

        def advance(done: float, note: str = "") -> None:
            progress.update(task, completed=done, note=note, amount=_amount(done, total))

        yield advance


def _stderr() -> tuple[Console, bool]:
    """Stderr, and whether it is a terminal; it is silent if warnings are not logged."""
    is_quiet = not logging.getLogger("paratopic").isEnabledFor(logging.WARNING)
    console = Console(stderr=True, quiet=is_quiet)
    # FORCE_COLOR makes `console.is_terminal` true for a log as well.
    return console, console.file.isatty()


def _amount(done: float, total: float) -> str:
    """The amount of work done: "3 of 15", or the share of a single step.

    >>> _amount(3.4, 15), _amount(0.4, 1)
    ('3 of 15', '40%')
    """
    return f"{done:.0%}" if total == 1 else f"{int(done):,} of {int(total):,}"


def duration(seconds: float) -> str:
    """Write a rounded duration.

    >>> duration(49.6), duration(170), duration(7000)
    ('50 s', '3 min', '117 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _line_printer(console: Console, label: str, total: int) -> Advance:
    """Make the `Advance` of a log, with lines like "transformer: fit 3 of 15, about 4 min left"."""
    n_lines = total if 1 < total <= MOST_LINES else TENTHS
    started = last_printed = time.monotonic()
    shown_part = 0
    first_call: tuple[float, float] | None = None

    def advance(done: float, note: str = "") -> None:
        """Print a line with the note if one is due, at the times that `progress_bar` describes."""
        nonlocal shown_part, last_printed, first_call
        part, now = int(done * n_lines / total), time.monotonic()
        # The time before the first call is left out: much of it is loading, which happens once.
        since, done_before = first_call or (started, 0.0)
        first_call = first_call or (now, done)
        is_first = last_printed == started and done * n_lines >= FIRST_SHARE * total
        is_due = done > done_before and (part > shown_part or is_first)
        if is_due and part < n_lines and now - last_printed >= LOG_INTERVAL:
            shown_part, last_printed = part, now
            seconds = (now - since) * (total - done) / (done - done_before)
            parts = [f"{label} {_amount(done, total)}", note, f"about {duration(seconds)} left"]
            console.print(", ".join(filter(None, parts)), highlight=False, soft_wrap=True)

    return advance
