"""Running bulk prediction in tests, and reading the shards that it writes."""

from __future__ import annotations

from pathlib import Path

from paratopic.bulk import jobs
from paratopic.inference.model import Model


def predict(model: Model, inputs: list[Path], out: Path, resume: bool = False) -> jobs.Done:
    return jobs.predict_files(
        jobs.Job(model, inputs, "text"), out, resume, lambda rows, share: None
    )


def read_shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.name[0] != "_"}


class Interrupted(Exception):
    """Stands for whatever may end a process."""
