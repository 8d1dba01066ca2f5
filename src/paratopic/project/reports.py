"""JSON files of `reports/` as objects, whose classes are in the rooms that write the files.

This module has the classes that several rooms read, and the durations of the last fits on this
machine, on which no result depends. Prediction imports neither this module nor pydantic.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from paratopic.project.errors import UserError
from paratopic.project.files import checked_read, write_json
from paratopic.project.terminal import duration


class Report(BaseModel):
    """Content of a JSON file, or a part of it.

    Fields that were not set are not written. Further keys of the file are ignored.
    """

    model_config = ConfigDict(frozen=True)

    def save(self, path: Path, digits: int = 6) -> None:
        """Write the file; parameters as for `files.write_json`."""
        write_json(path, self.model_dump(exclude_unset=True), digits)

    @classmethod
    def load(cls, path: Path, made_by: str = "`dvc repro`") -> Self:
        """Read the file; a `UserError` reports a missing or damaged one, which `made_by` writes.

        A file with a missing or wrong field, as in a file of another version, is damaged.
        """
        with checked_read(made_by, path):
            try:
                return cls.model_validate_json(path.read_bytes())
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                raise ValueError(f"{place}: {first['msg']}".removeprefix(": ")) from None


class Final(Report):
    """Content of final.json, which describes the final fit.

    Parameters
    ----------
    n_labelled, n_unlabelled
        Number of texts with a label, and of texts of the pool, that the model was fitted to.
    size
        Bytes of the model's files, without calibration and manifest.
    parity
        Name of a metric → agreement of the files' predictions with those of the fitted model.
    context
        Part of a context → its weight (`inference.linear_head.ContextWeights`).
    notes
        Notes on the fit.
    """

    n_labelled: int
    n_unlabelled: int
    size: int
    parity: dict[str, float]
    context: dict[str, float]
    notes: tuple[str, ...]


class Timer:
    """Measures the duration of a stage."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the timer was made."""
        return time.monotonic() - self._started

    def save(self, times: Path, stage: str, **details: str) -> None:
        """Save the duration of a stage in the file of times, with further fields of `Time`."""
        last = Time(seconds=self.seconds, **details)
        Times({**read_times(times), stage: last}).save(times, digits=1)


class Time(Report):
    """Seconds that a stage took, with the number of labelled texts or the digest of its fit."""

    seconds: float
    labelled: str = ""
    fit: str = ""


class Times(Report, RootModel[dict[str, Time]]):
    """Name of a stage → its last duration on this machine."""


def read_times(path: Path) -> dict[str, Time]:
    """Read the last durations on this machine: name of a stage → time; empty if unknown."""
    with suppress(UserError):
        return Times.load(path).root
    return {}


def last_fit_time(times: Path, model: str) -> str:
    """The last duration of a kind's fits: "3 min for 312 labelled texts"; "" if unknown."""
    last = read_times(times).get(f"fit@{model}")
    return f"{duration(last.seconds)} for {last.labelled}" if last else ""
