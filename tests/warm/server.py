"""Imports what stages, commands and tests import, and forks for each that `client.py` asks for.

    python server.py SOCKET PROCESS

ends when a process ends.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import logging
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from mlflow.utils import requirements_utils
from torch.onnx._internal.exporter._registration import ONNXRegistry

import paratopic
from paratopic.project.installed import stage_digests

# Imported late, by what stages and commands call, or by tests alone.
LATE = (
    "docx",
    "dvc.cli.parser",
    "dvc.data_cloud",
    "dvc.lock",
    "dvc.repo.experiments",
    "dvc.repo.status",
    "dvc.rwlock",
    "dvc.stage",
    "hypothesis.strategies",
    "mlflow",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "onnxscript",
    "pandas",
    "pytest",
    "selenium.webdriver",
    "sklearn.cluster",
    "starlette.testclient",
    "torch.onnx._internal.exporter._core",
)
READ_AT_START = ("PYTHON", "OMP_", "MKL_", "HF_", "TRANSFORMERS_", "TORCH", "ORT_", "LD_")
# Of these, how threads wait, which changes no result, what torch and torchrun set, and what a
# program that is forked reads itself.
NO_MATTER = (
    *("OMP_WAIT_POLICY", "TORCHINDUCTOR_", "TORCHELASTIC_", "TORCH_NCCL_"),
    *("PYTHONPATH", "PYTHON_EXEC"),
)
MOST_BYTES = 200_000


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that interpreters and libraries read when they start."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_START) and not name.startswith(NO_MATTER)
    }


# Libraries add variables.
AT_START, STARTED_WITH = read_at_start(os.environ), os.environ.get("PYTHONPATH")


def serve(path: str, watched: int) -> None:
    """Fork for each request, until a process ends; returns in what was forked only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    ends = os.pidfd_open(watched)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while True:
        ready, _, _ = select.select([listener.fileno(), ends], [], [])
        if ends in ready:
            shutil.rmtree(os.path.dirname(path))
            sys.exit()
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return answer(connection)
        connection.close()


def answer(connection: socket.socket) -> None:
    """Fork once more, wait for what it does, and send its status; returns in what was forked."""
    request, standard, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
    name, words, folder, environment = json.loads(request)
    path = environment.get("PYTHONPATH")
    sites = [] if path == STARTED_WITH else [os.path.join(str(path), "sitecustomize.py")]
    if read_at_start(environment) != AT_START or not all(map(os.path.exists, sites)):
        connection.send(b"no")
        os._exit(0)
    program = os.fork()
    if program == 0:
        connection.close()
        os.setsid()
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [name, *words]
        for site in sites:
            start_with(site)
        return
    ended = os.pidfd_open(program)
    while ended not in select.select([connection.fileno(), ended], [], [])[0]:
        if sent := connection.recv(16):
            os.kill(program, int(sent))
        else:  # whoever asked was killed, and nobody waits for a status
            os.kill(program, signal.SIGKILL)
            os._exit(1)
    _, status = os.waitpid(program, 0)
    code = os.waitstatus_to_exitcode(status)
    connection.send(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def start_with(site: str) -> None:
    """Start as with the folder of a `sitecustomize` on the path: before paratopic is imported.

    The libraries, which take most of the time, stay imported.
    """
    for module in [name for name in sys.modules if name.partition(".")[0] == "paratopic"]:
        del sys.modules[module]
    sys.path.insert(0, os.path.dirname(site))
    runpy.run_path(site)


def keep_what_is_computed_once() -> None:
    """Compute what each process would, if it asks for digests, exports a model or logs one."""
    stage_digests()
    registry: Any = ONNXRegistry
    registry.from_torchlib = staticmethod(functools.cache(registry.from_torchlib))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(torch.nn.Linear(1, 1), (torch.ones(1, 1),), dynamo=True, verbose=False)
    requirements_utils._init_packages_to_modules_map()


def run(name: str, words: list[str]) -> int:
    """Run a command, or a stage after `-m`; returns its status."""
    try:
        if name == "paratopic":
            from paratopic.cli.app import main

            main()
        elif name == "dvc":
            from dvc.cli import main as dvc

            return int(dvc())
        elif words[0] == "-c":
            exec(words[1], {"__name__": "__main__"})
        else:
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(status: int) -> None:
    """End as Python does, but do not take apart what was imported: that takes .4 s."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads; Python calls it
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    for module in pkgutil.walk_packages(paratopic.__path__, "paratopic."):
        if not module.name.startswith(("paratopic.stages.", "paratopic.bulk.")):
            importlib.import_module(module.name)
    for late in LATE:
        importlib.import_module(late)
    importlib.import_module("sqlalchemy.orm").configure_mappers()
    keep_what_is_computed_once()
    serve(sys.argv[1], int(sys.argv[2]))
    end(run(sys.argv[0], sys.argv[1:]))
