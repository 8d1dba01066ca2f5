"""How long the last fits of a project took, on this machine. Nothing depends on it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from paratopic.project.errors import UserError
from paratopic.project.files import TIMES, read_json, write_json
from paratopic.project.terminal import duration


class Timer:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started

    def keep(self, stage: str, **about: str) -> None:
        """Note how long a stage took, and what it made."""
        write_json(TIMES, {**read_times(), stage: {"seconds": self.seconds, **about}}, digits=1)


def read_times() -> dict[str, Any]:
    """Name of a stage → its seconds when it last ran here, and what it made; empty if not known."""
    with suppress(UserError):
        return {**read_json(TIMES, "a stage")}
    return {}


def last_time(model: str) -> str:
    """How long it last took to measure a model: "3 min for 312 labelled texts"; else ""."""
    if not (last := read_times().get(f"fit@{model}")):
        return ""
    return f"{duration(last['seconds'])} for {last['labelled']}"
