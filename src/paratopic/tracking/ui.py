"""Serve MLflow on this machine and open the page that compares the models: `paratopic ui`.

A store that is a server already is only opened.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from paratopic.inference.registry import reported, set_defaults, store_uri
from paratopic.project.errors import UserError
from paratopic.project.params import read_params
from paratopic.tracking import view

HOST, PORT = "127.0.0.1", 5000

# Of MLflow's server, whatever is of no use for looking at models: background jobs over the traces
# of language models, warnings about its own code, and a line for each request.
QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",
    "UVICORN_LOG_LEVEL": "warning",
}
# Its modules are not looked for in the project first, which may be a stranger's.
SAFE = {"PYTHONSAFEPATH": "1", "UVICORN_APP_DIR": sys.prefix}


def main(port: int | None = None) -> None:
    """Serve the store of the project in the current directory until Ctrl+C.

    Parameters
    ----------
    port
        Port to serve on, 0 for a free one; by default `PORT`, or a free one where that is taken. A
        store that is a server has its own.

    Raises
    ------
    UserError
        The store cannot be read, or the port is taken.
    """
    set_defaults()
    uri, name = store_uri(Path(".")), read_params().track.experiment
    experiment_id, tags = _experiment(uri, name)
    if uri.startswith(("http://", "https://")):
        _open(view.address(uri, experiment_id, tags))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server ends in any case
    with suppress(KeyboardInterrupt), _server(uri, port) as (address, process):
        _open(view.address(address, experiment_id, tags))
        process.wait()


def _experiment(uri: str, name: str) -> tuple[str, dict[str, str]]:
    """Id and tags of the experiment that the pipeline logs to."""
    from mlflow import MlflowClient

    with reported(f"MLflow at {uri} cannot be read"):
        experiment = MlflowClient(uri).get_experiment_by_name(name)
    if experiment is None:
        raise UserError(
            f"MLflow at {uri} has no experiment {name}: `dvc repro` trains the models and logs "
            "them (MLFLOW_TRACKING_URI is the store's address)."
        )
    return experiment.experiment_id, experiment.tags


@contextmanager
def _server(uri: str, wanted: int | None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address and process of a server of a store; it is ended with the block."""
    port = _free_port(wanted)
    print("Starting MLflow ...", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(command, env=QUIET | os.environ | SAFE)
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise UserError(f"MLflow's server for {uri} ended: the lines above say why.")
            time.sleep(0.2)
        yield f"http://{HOST}:{port}", process
    finally:
        process.terminate()
        process.wait()


def _free_port(wanted: int | None) -> int:
    """The port that is wanted; by default MLflow's usual one, or any other where that is taken."""
    for port in (PORT, 0) if wanted is None else (wanted,):
        try:
            with socket.create_server((HOST, port)) as probe:
                return int(probe.getsockname()[1])
        except OSError as error:
            reason = os.strerror(error.errno or 0)
    raise UserError(
        f"--port {wanted}: cannot be used ({reason}); name another one, or 0 for a free one"
    )


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    with closing(connection), suppress(OSError):
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    return False


def _open(address: str) -> None:
    """Print an address, and open it where windows can be opened."""
    print(f"\nMLflow shows the models at\n\n    {address}\n", flush=True)
    screens = "DISPLAY", "WAYLAND_DISPLAY"
    if sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in screens):
        webbrowser.open(address)
