"""Import all modules of stages, commands and tests, and fork for each request of `client.py`.

    python server.py SOCKET PROCESS

ends when the process ends.
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
from contextlib import suppress
from typing import Any

import paratopic

# Modules that are imported late, or only by tests.
LATE = """
docx dulwich.porcelain dvc.cli.parser dvc.data_cloud dvc.lock dvc.repo.artifacts
dvc.repo.datasets dvc.repo.experiments.queue.celery dvc.repo.experiments.queue.workspace
dvc.repo.experiments.run dvc.repo.graph dvc.repo.index dvc.repo.open_repo dvc.repo.plots
dvc.repo.stage dvc.repo.status dvc.repo.trie dvc.rwlock dvc.stage dvc.utils.hydra
dvc.utils.strictyaml dvc_data.hashfile.db.local dvc_data.hashfile.status dvc_data.index.checkout
dvc.cachemgr dvc_task.proc.manager hydra._internal.config_loader_impl hypothesis.strategies
mlflow mlflow.pyfunc mlflow.store.model_registry.sqlalchemy_store
mlflow.store.tracking.sqlalchemy_store networkx onnxscript pandas pygit2 pytest
scmrepo.git.backend.dulwich scmrepo.git.backend.pygit2 selenium.webdriver starlette.testclient
torch.onnx._internal.exporter._core
""".split()
READ_AT_START = ("PYTHON", "OMP_", "MKL_", "HF_", "TRANSFORMERS_", "TORCH", "ORT_", "LD_")
# Some of these variables do not matter: the way in which threads wait changes no result, torch sets
# variables itself, and the server handles Python's paths.
IGNORED = "OMP_WAIT_POLICY", "TORCHINDUCTOR_", "PYTHONPATH", "PYTHONSAFEPATH"
MOST_BYTES = 200_000


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that interpreters and libraries read when they start."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_START) and not name.startswith(IGNORED)
    }


# These are read at the start, because libraries add variables later.
AT_START, STARTED_WITH = read_at_start(os.environ), os.environ.get("PYTHONPATH")


def serve(path: str, watched: int) -> None:
    """Fork for each request until a process ends; only forks return."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    watched_end = os.pidfd_open(watched)
    # Descriptor of a running program → its process, and the connection to its client.
    running: dict[int, tuple[int, socket.socket]] = {}
    gc.freeze()
    while True:
        program_of = {client.fileno(): program for program, client in running.values()}
        ready, _, _ = select.select([listener.fileno(), watched_end, *running, *program_of], [], [])
        if watched_end in ready:
            shutil.rmtree(os.path.dirname(path))
            sys.exit()
        for number in ready:
            if number in running:
                os.close(number)
                report(*running.pop(number))
            elif number in program_of and (client := connection_of(number, running)):
                pass_on(client, program_of[number])
        if listener.fileno() in ready:
            client, _ = listener.accept()
            program = begin(client)
            if program == 0:
                for number, (_, other) in running.items():
                    os.close(number)
                    other.close()
                os.close(watched_end)
                listener.close()
                client.close()
                return
            if program is None:
                client.close()
            else:
                running[os.pidfd_open(program)] = program, client


def connection_of(
    number: int, running: Mapping[int, tuple[int, socket.socket]]
) -> socket.socket | None:
    """The connection with a descriptor; None if its program has ended meanwhile."""
    return next((client for _, client in running.values() if client.fileno() == number), None)


def begin(client: socket.socket) -> int | None:
    """Fork for a request; returns the process, 0 in the fork, or None for the client to run it."""
    request, standard, _, _ = socket.recv_fds(client, MOST_BYTES, 3)
    name, words, folder, environment = json.loads(request)
    path = environment.get("PYTHONPATH")
    sites = [] if path == STARTED_WITH else [os.path.join(str(path), "sitecustomize.py")]
    if read_at_start(environment) != AT_START or not all(map(os.path.exists, sites)):
        client.send(b"no")
        program = None
    elif (program := os.fork()) == 0:
        os.setsid()
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [name, *words]
        for site in sites:
            start_with(site)
    for descriptor in standard:
        os.close(descriptor)
    return program


def pass_on(client: socket.socket, program: int) -> None:
    """Send a program the signal that its client received, or kill it if the client has ended."""
    number = client.recv(16)
    os.kill(program, int(number) if number else signal.SIGKILL)


def report(program: int, client: socket.socket) -> None:
    """Send the status of a program that has ended."""
    _, status = os.waitpid(program, 0)
    code = os.waitstatus_to_exitcode(status)
    with suppress(OSError):  # the client may have been killed
        client.send(str(code if code >= 0 else 128 - code).encode())
    client.close()


def start_with(site: str) -> None:
    """Run a `sitecustomize` before paratopic is imported, with its folder on the path.

    The libraries, which take most of the time, stay imported.
    """
    for module in [name for name in sys.modules if name.partition(".")[0] == "paratopic"]:
        del sys.modules[module]
    sys.path.insert(0, os.path.dirname(site))
    runpy.run_path(site)


def fill_caches() -> None:
    """Compute the cached values that digests, exported models and logged models need."""
    # These imports are in the function, because processes that tests start import this module.
    import torch
    from mlflow.utils import requirements_utils
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    from paratopic.project.installed import stage_digests

    stage_digests()
    registry: Any = ONNXRegistry
    registry.from_torchlib = staticmethod(functools.cache(registry.from_torchlib))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(torch.nn.Linear(1, 1), (torch.ones(1, 1),), dynamo=True, verbose=False)
    requirements_utils._init_packages_to_modules_map()


def run(name: str, words: list[str]) -> int:
    """Run a command, or a stage after `-m`, and return its status."""
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
    """End as Python does, but without unloading modules, which takes 0.4 s."""
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
    fill_caches()
    serve(sys.argv[1], int(sys.argv[2]))
    end(run(sys.argv[0], sys.argv[1:]))
