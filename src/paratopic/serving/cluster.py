"""Answers from the machines of a Ray cluster; the only room that knows Ray, which it imports late.

Files are read and written where the command was given, by `bulk`; the cluster answers texts, a step
a task, and Ray sends those of a lost machine to another one. This package and the model's folder
travel with them: the other machines need what paratopic depends on, but none of the files. What a
row's answer is, and which rows are left, is not decided here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import paratopic
from paratopic.inference.folder import MANIFEST
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.project.files import read_json
from paratopic.serving import bulk
from paratopic.serving.bulk import Answer, Work
from paratopic.serving.shards import Columns

if TYPE_CHECKING:
    from ray import ObjectRef

Pieces = dict[str, npt.NDArray[np.uint8]]

# Of Ray's datasets. Texts and answers of a step travel as JSON, which keeps both as they are.
Row = Mapping[str, str]


@contextmanager
def started() -> Iterator[bulk.Engine]:
    """The engine of the cluster that RAY_ADDRESS names or this machine is part of, else of its own.

    Raises
    ------
    UserError
        Ray is not installed, or the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to Ray's makers
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(
            f"--engine ray: {error.name} is not installed; pip install 'paratopic[ray]'"
        ) from None
    _check(os.environ.get("RAY_ADDRESS", ""))
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # What Ray says of lost machines goes to standard error.
    with redirect_stdout(sys.stderr):
        try:
            ray.init(
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": [str(Path(paratopic.__file__).parent)]},
            )
        except ConnectionError as error:
            raise UserError(f"the Ray cluster cannot be reached: {error}") from None
        try:
            yield engine
        finally:
            ray.shutdown()


def engine(model: Model, work: Work) -> Answer:
    """Let the cluster answer the texts of the work, ahead of those that are asked for."""
    import ray
    from ray.data import DataContext

    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # each row, a step, is a block, and so a task, of its own
    context.enable_progress_bars = context.print_on_execution_start = False
    this_machine = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    pieces = ray.put(_pieces(model.folder))
    with DataContext.current(context):
        rows = iter(
            ray.data.range(1)
            .flat_map(functools.partial(_read, work), num_cpus=0, label_selector=this_machine)
            .map(functools.partial(_answer, pieces))
            .iter_rows()
        )

    def answer(texts: Sequence[str]) -> Columns:
        row = next(rows, None)
        # The cluster's reader and this one have met the same texts.
        if row is None or row["texts"] != _digest(json.dumps(texts)):
            raise UserError("the inputs changed while they were read; begin anew")
        columns: Columns = json.loads(row["answers"])
        return columns

    return answer


def _check(address: str) -> None:
    """Refuse an address at which Ray would wait for ever, or work without the files."""
    if address.startswith("ray://"):
        raise UserError(
            f"RAY_ADDRESS={address}: another machine would look for the files; start from a "
            "machine of the cluster, and give HOST:PORT of its head"
        )
    host, _, port = address.rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise UserError(f"RAY_ADDRESS={address}: no cluster answers ({error})") from None


def _read(work: Work, _: Row) -> Iterator[Row]:
    with suppress(UserError):  # who asks for the answers reads the files as well, and tells
        for texts in work.texts():
            yield {"texts": json.dumps(texts)}


def _answer(pieces: ObjectRef[Pieces], row: Row) -> Row:
    answers = bulk.answer(_model(pieces), json.loads(row["texts"]))
    return {"texts": _digest(row["texts"]), "answers": json.dumps(answers)}


@functools.lru_cache(maxsize=1)
def _model(pieces: ObjectRef[Pieces]) -> Model:
    """The model, which stays loaded in a process that answers one step after the other."""
    import ray

    with tempfile.TemporaryDirectory() as folder:
        for name, data in ray.get(pieces).items():
            data.tofile(Path(folder) / name)
        return load(folder)


def _pieces(folder: Path) -> Pieces:
    """What prediction reads of a model's folder."""
    names = [MANIFEST, *read_json(folder / MANIFEST, "`dvc repro`")["files"]]
    return {name: np.fromfile(folder / name, np.uint8) for name in names}


def _digest(texts: str) -> str:
    return hashlib.sha256(texts.encode()).hexdigest()
