"""Serve MLflow on this machine and open the page that compares the models: `paratopic ui`.

If the store is a server, the command only opens its page.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress

from paratopic.inference.registry import set_defaults, store_errors, store_uri
from paratopic.project.errors import UserError
from paratopic.project.folder import Project
from paratopic.tracking.runs import VIEW

HOST, PORT = "127.0.0.1", 5000

# These variables turn off background jobs over the traces of language models, warnings about code
# of MLflow, and a log line for each request.
QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",
    "UVICORN_LOG_LEVEL": "warning",
}
# These variables keep MLflow from importing modules of the project, which may be untrusted.
SAFE = {"PYTHONSAFEPATH": "1", "UVICORN_APP_DIR": sys.prefix}


def main(project: Project, port: int = PORT) -> None:
    """Open the page of a project's experiment; if its store is no server, serve it until Ctrl+C.

    `port` has no effect if the store is a server. A `UserError` reports that the store cannot be
    read or has no such experiment, that the port is taken, or that the new server ends before it
    responds.
    """
    set_defaults()
    uri, name = store_uri(project.paths.root), project.params.track.experiment
    page = _page(uri, name)
    if uri.startswith(("http://", "https://")):
        _open(f"{uri.rstrip('/')}/{page}")
        return
    if server_responds(port):
        raise UserError(f"port {port} is taken: name another one with --port")
    print("Starting MLflow ...", flush=True)
    # SIGTERM has to end the server, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(command, env=QUIET | os.environ | SAFE)
    try:
        while not server_responds(port):
            if process.poll() is not None:
                raise UserError(f"MLflow's server for {uri} ended: the lines above say why.")
            time.sleep(0.2)
        _open(f"http://{HOST}:{port}/{page}")
        process.wait()
    except KeyboardInterrupt:
        pass
    finally:
        process.terminate()
        process.wait()


def _page(uri: str, name: str) -> str:
    """Path "#/experiments/ID/runs?..." of an experiment's page; a `UserError` without one."""
    from mlflow import MlflowClient

    with store_errors(f"MLflow at {uri} cannot be read"):
        experiment = MlflowClient(uri).get_experiment_by_name(name)
    if experiment is None:
        raise UserError(
            f"MLflow at {uri} has no experiment {name}: `dvc repro` trains the models and logs "
            "them (MLFLOW_TRACKING_URI is the store's address)."
        )
    path = f"#/experiments/{experiment.experiment_id}/runs"
    return f"{path}?workflowType=machine_learning&viewStateShareKey={VIEW}"


def server_responds(port: int) -> bool:
    """Whether a server accepts connections at a port of this machine."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=5):
        return True
    return False


def _open(address: str) -> None:
    """Print an address, and open it in a browser if the machine has a screen."""
    print(f"\nMLflow shows the models at\n\n    {address}\n", flush=True)
    screens = "DISPLAY", "WAYLAND_DISPLAY"
    if sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in screens):
        webbrowser.open(address)
