"""Programs of the project that start within milliseconds, because their imports are done.

A pipeline runs fifteen processes, which spend most of their time on imports if there are only 38
paragraphs. `start` runs a server that imports all modules once, and forks for each process. The
programs `python`, `paratopic` and `dvc` in its folder ask the server to run a stage or a command.
They run everything else themselves, and also if the environment has variables that interpreters or
libraries read when they start.

Tests that kill programs and tests of installations start processes as users do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CLIENT, SERVER = "client.py", "server.py"


def start() -> Path:
    """Write the programs to a new folder, and start their server, which ends with this process."""
    folder, here = Path(tempfile.mkdtemp(prefix="paratopic-quick-")), Path(__file__).parent
    code = (here / CLIENT).read_text(encoding="utf-8")
    for name in ("python", "paratopic", "dvc"):
        program = folder / name
        # The options leave out `site`, which takes most of the time of the start.
        program.write_text(f"#!{sys.executable} -IS\n{code}", encoding="utf-8")
        program.chmod(0o755)
    subprocess.Popen(
        [sys.executable, str(here / SERVER), str(folder / "socket"), str(os.getpid())],
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        stdin=subprocess.DEVNULL,
    )
    return folder
