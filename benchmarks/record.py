"""What each result was made with, and which results are older than the code that they are about.

A result has a digest of the code of its script, of what the script imports of this folder, and of
what these run of the package; comments and docstrings do not count. A result whose digest is no
longer that of the code is named in README.md, below the table of scripts. Nothing is measured here,
and an older result is not an error: run its script again.

    python benchmarks/record.py
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from paratopic.project import installed
from paratopic.project.files import aside
from paratopic.project.kinds import KINDS

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
# The lines of README.md between which older results are named.
START, END = "<!-- older -->\n", "<!-- end of older -->\n"
# Instruction sets that change how fast models are, and in 8 bits what they answer.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni")


def made_with(script: str, *packages: str) -> dict[str, object]:
    """What a script's figures were measured with: its code, the processor, threads and versions.

    Parameters
    ----------
    script
        `__file__` of the script.
    packages
        Distributions whose versions matter.
    """
    path, threads = Path(script), os.environ.get("OMP_NUM_THREADS")
    return {
        "script": path.name,
        "code": code_digest(path.resolve()),
        "commit": commit(),
        "machine": platform.machine(),
        **processor(),
        "cores": int(threads) if threads else len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    } | {package: version(package) for package in packages}


@cache
def code_digest(script: Path) -> str:
    """Digest of the code that a script runs, 12 hexadecimal digits."""
    files, ahead, names = set[Path](), {script}, set[str]()
    while ahead:
        path = ahead.pop()
        files.add(path)
        imported = installed.imported(path.read_text(encoding="utf-8"))
        names |= imported
        ahead |= set(filter(Path.is_file, (path.with_name(f"{name}.py") for name in imported)))
        ahead -= files
    modules = {name.partition(".")[2] for name in names} & _arrows().keys()
    parts = [installed.code(path.read_text(encoding="utf-8")) for path in sorted(files)]
    parts += map(_module_digest, sorted(installed.modules_of(modules, KINDS, _arrows())))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@cache
def _arrows() -> dict[str, set[str]]:
    return installed.imports()


@cache
def _module_digest(module: str) -> str:
    return installed.digest([module])


@cache
def commit() -> str | None:
    """Commit of the code, with "+" if it was changed since; None outside a repository."""
    git = ["git", "-C", str(FOLDER)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return None
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "*.py", "../src"], capture_output=True
    )
    return head.stdout.strip() + "+" * bool(changed.stdout)


@cache
def processor() -> dict[str, object]:
    """Name of the processor, and those of `INSTRUCTIONS` that it has; nothing if not known."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = fields.get("flags", "").split()
    instructions = [name for name in INSTRUCTIONS if name in flags]
    return {"processor": fields.get("model name"), "instructions": instructions}


def older(results: Path, scripts: Path = FOLDER) -> bool:
    """Whether any figure of a file of results is older than the code of its script.

    Parameters
    ----------
    results
        JSON file that a script wrote.
    scripts
        Folder of the scripts.
    """
    return any(
        not script or code_digest((scripts / script).resolve()) != code
        for script, code in set(_made(json.loads(results.read_text(encoding="utf-8"))))
    )


def _made(results: Any) -> Iterator[tuple[str, str]]:
    """Script and digest of the code of all results, or of each that was added to others.

    They are empty where the result is older than records.
    """
    match results:
        case {"script": str(script), "code": str(code)}:
            yield script, code
        case {"runs": [_, *_] as lines} | {"results": [_, *_] as lines}:
            for line in lines:
                yield from _made(line)
        case _:
            yield "", ""


def mark(page: str, files: list[Path]) -> str:
    """The page with these files of results named as older than the code."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    links = [f"- [{path.stem}]({path.parent.name}/{path.name})" for path in files]
    lines = ["These results are older than the code that they are about:", "", *links]
    named = "".join(f"{line}\n" for line in lines) if files else ""
    return f"{before}{START}{named}{END}{after}"


def main() -> None:
    """Print which results are older than the code, and name them in README.md."""
    files = [path for path in sorted((FOLDER / "results").glob("*.json")) if older(path)]
    for path in files:
        print(f"{path.name}: older than the code")
    page = README.read_text(encoding="utf-8")
    marked = mark(page, files)
    if marked != page:
        with aside(README) as draft:
            draft.write_text(marked, encoding="utf-8")


if __name__ == "__main__":
    main()
