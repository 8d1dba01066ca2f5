"""On the path of a program: writes down which modules of paratopic are loaded when it ends."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

PREFIX = "paratopic."


def write() -> None:
    """Add the modules that a stage has loaded to a file with its name, such as score-baseline."""
    program = getattr(sys.modules["__main__"], "__spec__", None)
    if program is not None and program.name.startswith(f"{PREFIX}stages."):
        stage = "-".join([program.name.rpartition(".")[2], *sys.argv[1:]])
        modules = [name for name in [*sys.modules, program.name] if name.startswith(PREFIX)]
        with Path(os.environ["PARATOPIC_TRACE"], stage).open("a", encoding="utf-8") as file:
            file.writelines(f"{name.removeprefix(PREFIX)}\n" for name in modules)


atexit.register(write)
