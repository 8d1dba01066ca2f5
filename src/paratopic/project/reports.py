"""JSON files of `reports/` as objects, whose classes are in the rooms that write the files."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from paratopic.project.files import write_json, written_by


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
        Part of what stands around a text → its weight (`inference.context.ContextWeights`).
    """

    n_labelled: int
    n_unlabelled: int
    size: int
    parity: dict[str, float]
    context: dict[str, float]
    notes: tuple[str, ...]
