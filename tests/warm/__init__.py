"""Programs of the project that start within milliseconds, because their imports are done.

A pipeline is fifteen processes, which spend most of their time on imports if there are 38
paragraphs. `start` runs a process that imports once what they import, and forks for each of them.
`python`, `paratopic` and `dvc` in its folder ask this process to run a stage or a command. Anything
else they run as it is, and so they do if the environment has variables that interpreters or
libraries read when they start.

Programs that tests kill and installations do not use it: their processes are those that a user
starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CLIENT, SERVER = "client.py", "server.py"


def start() -> Path:
    """Write the programs to a new folder, and start what they ask; both end with this process."""
    folder, here = Path(tempfile.mkdtemp(prefix="paratopic-quick-")), Path(__file__).parent
    code = (here / CLIENT).read_text(encoding="utf-8")
    for name in ("python", "paratopic", "dvc"):
        program = folder / name
        # Without `site`, which takes most of the time of its start.
        program.write_text(f"#!{sys.executable} -IS\n{code}", encoding="utf-8")
        program.chmod(0o755)
    subprocess.Popen(
        [sys.executable, str(here / SERVER), str(folder / "socket"), str(os.getpid())],
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        stdin=subprocess.DEVNULL,
    )
    return folder
