"""JSON files of `reports/` as objects, whose classes are in the rooms that write the files.

Here are those that several rooms read, and how long the last fits of a project took on this
machine, on which nothing depends. Prediction needs none of them, nor pydantic.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from paratopic.project.errors import UserError
from paratopic.project.files import write_json, written_by
from paratopic.project.terminal import duration


class Report(BaseModel):
    """Content of a JSON file, or a part of it.

    A field that was not given is not written. What the file has beside the fields is ignored.
    """

    model_config = ConfigDict(frozen=True)

    def save(self, path: Path, digits: int = 6) -> None:
        """Write the file; parameters as for `files.write_json`."""
        write_json(path, self.model_dump(exclude_unset=True), digits)

    @classmethod
    def load(cls, path: Path, made_by: str = "`dvc repro`") -> Self:
        """Read the file, with errors as of `files.written_by`.

        That of another version may lack a field, which is an error, too.
        """
        with written_by(made_by, path):
            try:
                return cls.model_validate_json(path.read_bytes())
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                raise ValueError(f"{place}: {first['msg']}".removeprefix(": ")) from None


class Final(Report):
    """Content of final.json: about the model that ships, as stage train left it.

    Parameters
    ----------
    size
        Bytes of its files, without calibration and manifest.
    parity
        Name of a metric → how close its files' answers are to those of the model that was fitted.
    context
        Part of what stands around a text → its weight (`inference.linear_head.ContextWeights`).
    """

    n_labelled: int
    n_unlabelled: int
    size: int
    parity: dict[str, float]
    context: dict[str, float]
    notes: tuple[str, ...]


class Timer:
    """Measures how long a stage takes."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started

    def keep(self, times: Path, stage: str, **about: str) -> None:
        """Note in the file of times how long a stage took, and what it made."""
        last = Time(seconds=self.seconds, **about)
        Times({**read_times(times), stage: last}).save(times, digits=1)


class Time(Report):
    """Seconds that a stage took, and what it did: labelled texts, or the digest of its fit."""

    seconds: float
    labelled: str = ""
    fit: str = ""


class Times(Report, RootModel[dict[str, Time]]):
    """Name of a stage → its time when it last ran here."""


def read_times(path: Path) -> dict[str, Time]:
    """Name of a stage → its time when it last ran here; empty if not known."""
    with suppress(UserError):
        return Times.load(path).root
    return {}


def last_time(times: Path, model: str) -> str:
    """How long it last took to measure a model: "3 min for 312 labelled texts"; else ""."""
    if not (last := read_times(times).get(f"fit@{model}")):
        return ""
    return f"{duration(last.seconds)} for {last.labelled}"
