"""How long the last fits of a project took, on this machine. Nothing depends on it."""

from __future__ import annotations

import time
from contextlib import suppress

from pydantic import RootModel

from paratopic.project.errors import UserError
from paratopic.project.files import TIMES
from paratopic.project.reports import Report
from paratopic.project.terminal import duration


class Timer:
    """Measures how long a stage takes."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started

    def keep(self, stage: str, **about: str) -> None:
        """Note how long a stage took, and what it made."""
        Times({**read_times(), stage: Time(seconds=self.seconds, **about)}).save(TIMES, digits=1)


class Time(Report):
    """Seconds that a stage took, and what it did: labelled texts, or the digest of its fit."""

    seconds: float
    labelled: str = ""
    fit: str = ""


class Times(Report, RootModel[dict[str, Time]]):
    """Name of a stage → its time when it last ran here."""


def read_times() -> dict[str, Time]:
    """Name of a stage → its time when it last ran here; empty if not known."""
    with suppress(UserError):
        return Times.load(TIMES).root
    return {}


def last_time(model: str) -> str:
    """How long it last took to measure a model: "3 min for 312 labelled texts"; else ""."""
    if not (last := read_times().get(f"fit@{model}")):
        return ""
    return f"{duration(last.seconds)} for {last.labelled}"
