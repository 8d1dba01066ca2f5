"""On the path of a program: writes down which modules of paratopic are loaded when it ends."""

from __future__ import annotations

import atexit
import os
import re
import sys
from pathlib import Path

PREFIX = "paratopic."


def write() -> None:
    """Add the modules that a stage has loaded to a file with its name, such as score-baseline."""
    if program := re.search(r"paratopic[./]stages[./](\w+)", sys.argv[0]):
        stage = "-".join([program[1], *sys.argv[1:]])
        modules = [name.removeprefix(PREFIX) for name in sys.modules if name.startswith(PREFIX)]
        with Path(os.environ["PARATOPIC_TRACE"], stage).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in [*modules, f"stages.{program[1]}"])


atexit.register(write)
