"""Runs of bulk prediction in tests, and the content of their shards."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from paratopic.bulk import jobs
from paratopic.inference.model import Model


def predict(model: Model, inputs: list[Path], out: Path, resume: bool = False) -> jobs.Progress:
    return jobs.predict_files(
        jobs.Job(model, inputs, "text"), out, resume, lambda rows, share: None
    )


def read_shards(out: Path) -> dict[str, bytes]:
    shards = (path for path in sorted(out.iterdir()) if path.name[0] not in "._")
    return {path.name: path.read_bytes() for path in shards}


def read_rows(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, content in read_shards(out).items():
        match Path(name).suffix:
            case ".csv":
                rows += csv.DictReader(io.StringIO(content.decode(), newline=""))
            case ".jsonl":
                rows += map(json.loads, content.splitlines())
            case _:
                rows += pq.read_table(out / name).to_pylist()
    return rows


def predicted(model: Model, *inputs: Path, errors: int = 0) -> list[dict[str, Any]]:
    """Predict inputs into the folder `out` next to them, and return the rows of the shards."""
    out = inputs[0].parent / "out"
    progress = predict(model, list(inputs), out)
    rows = read_rows(out)
    assert (progress.rows, progress.errors) == (len(rows), errors)
    return rows


class Interrupted(Exception):
    """Stands for any event that ends a process."""
