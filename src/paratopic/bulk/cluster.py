"""An engine of bulk prediction that computes on the machines of a Ray cluster.

`bulk` reads and writes the files, on the machine on which the command was started. The cluster
predicts texts, one step per task; Ray repeats the tasks of a machine that is lost on another one.
This package and the files of the model are sent along: the other machines need the packages that
paratopic depends on, but no files. This module decides neither what a row's prediction is nor which
rows are left. It is the only one that uses Ray, which it imports late.
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
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import paratopic
from paratopic.bulk import jobs
from paratopic.bulk.jobs import Predict, Work
from paratopic.inference.folder import prediction_files
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.project.passages import Passage
from paratopic.project.texts import Text, as_passage

if TYPE_CHECKING:
    from ray import ObjectRef

# File name → content; Ray shares arrays between the processes of a machine without copying them.
ModelFiles = dict[str, npt.NDArray[np.uint8]]

# A row of a Ray dataset: the texts and the columns of a step, as JSON, which keeps both unchanged.
Row = Mapping[str, str]


@contextmanager
def started() -> Iterator[jobs.Engine]:
    """Connect to a cluster while the block runs, and give its engine.

    It is the cluster at RAY_ADDRESS, else the one that this machine belongs to, else a new one of
    this machine alone. A `UserError` says that Ray is not installed, or the cluster out of reach.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # send nothing to Ray's makers
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(
            f"--engine ray: {error.name} is not installed; pip install 'paratopic[ray]'"
        ) from None
    _check_address(os.environ.get("RAY_ADDRESS", ""))
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Ray prints messages about lost machines; they belong on standard error.
    with redirect_stdout(sys.stderr):
        try:
            ray.init(
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": [str(Path(paratopic.__file__).parent)]},
            )
        except ConnectionError as error:
            raise UserError(
                f"the Ray cluster cannot be reached: {error}; check RAY_ADDRESS"
            ) from None
        try:
            yield engine
        finally:
            ray.shutdown()


def engine(model: Model, work: Work) -> Predict:
    """Let the cluster predict the texts of the work, ahead of the steps that are asked for."""
    import ray
    from ray.data import DataContext

    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # so that each row, a step, is a task of its own
    context.enable_progress_bars = context.print_on_execution_start = False
    this_machine = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    names = prediction_files(model.kind)
    model_files = ray.put({name: np.fromfile(model.folder / name, np.uint8) for name in names})
    with DataContext.current(context):
        rows = iter(
            ray.data.range(1)
            .flat_map(functools.partial(_read, work), num_cpus=0, label_selector=this_machine)
            .map(functools.partial(_predict, model_files))
            .iter_rows()
        )

    def predict(texts: Sequence[Text]) -> dict[str, list[Any]]:
        row = next(rows, None)
        # `_read` has to have met the same texts as the caller, who reads the files as well.
        if row is None or row["texts"] != _digest(_packed(texts)):
            raise UserError("the inputs changed while they were read; start again with a new --out")
        columns: dict[str, list[Any]] = json.loads(row["columns"])
        return columns

    return predict


def _check_address(address: str) -> None:
    """Refuse an address at which Ray would wait forever, or would not find the files."""
    if address.startswith("ray://"):
        raise UserError(
            f"RAY_ADDRESS={address}: another machine would look for the files; run the command on "
            "a machine of the cluster, and give HOST:PORT of the cluster's head"
        )
    host, _, port = address.rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise UserError(
                f"RAY_ADDRESS={address}: no cluster answers ({error}); give HOST:PORT of its head, "
                "or unset RAY_ADDRESS"
            ) from None


def _read(work: Work, _: Row) -> Iterator[Row]:
    """The texts of each step, up to the first file that cannot be read.

    No error is raised here: who asks for the predictions reads the same file, and reports it.
    """
    with suppress(UserError, OSError):
        for texts in work.texts():
            yield {"texts": _packed(texts)}


def _predict(model_files: ObjectRef[ModelFiles], row: Row) -> Row:
    texts = [Passage(*text) for text in json.loads(row["texts"])]
    columns = jobs.predict_columns(_model(model_files), texts)
    return {"texts": _digest(row["texts"]), "columns": json.dumps(columns)}


@functools.lru_cache(maxsize=1)
def _model(model_files: ObjectRef[ModelFiles]) -> Model:
    """The model; a process keeps it loaded from one step to the next."""
    import ray

    with tempfile.TemporaryDirectory() as folder:
        for name, data in ray.get(model_files).items():
            data.tofile(Path(folder) / name)
        return load(folder)


def _packed(texts: Sequence[Text]) -> str:
    return json.dumps([astuple(as_passage(text)) for text in texts])


def _digest(texts: str) -> str:
    return hashlib.sha256(texts.encode()).hexdigest()
