"""Files of results, what each row was made with, and which are older than the code.

A script adds its figures to `results/SCRIPT.csv`, one row for each cell, in place of those with the
same key. The column `made` names a row of `made.csv`: a digest of the code of the script, of what
it imports of this folder, and of what these run of the package; the commit, the machine and the
versions. Comments and docstrings do not count. A script whose digest has changed since is named in
README.md. Nothing is measured here, and an older result is not an error: run its script again.

    python benchmarks/record.py
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import platform
import subprocess
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from paratopic.project import installed
from paratopic.project.files import atomic_write
from paratopic.project.kinds import KINDS

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
RESULTS = Path("benchmarks/results")
MADE = "made.csv"
# The lines of README.md between which older results are named.
START, END = "<!-- older -->\n", "<!-- end of older -->\n"
# Instruction sets that change how fast models are, and in 8 bits what they answer.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni")
# Distributions whose versions are recorded where they are installed.
PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "torch", "transformers", "sentence-transformers"),
    *("onnxruntime", "setfit", "cleanlab", "statsmodels"),
    *("trafilatura", "mammoth", "pdfminer.six", "lxml"),
)

Row = dict[str, Any]


def parser_of(script: str, about: str | None) -> argparse.ArgumentParser:
    """A parser for a script, `__file__`, with its docstring and the options of results."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    path = RESULTS / f"{Path(script).stem}.csv"
    parser.add_argument("--results", type=Path, default=path, help="CSV file to add figures to")
    parser.add_argument(
        "--again", action="store_true", help="measure what the file has of this code, too"
    )
    return parser


def saved(path: Path) -> list[Row]:
    """Rows of a file of results, with numbers and truth values; none if it is not there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{k: _value(k, cell) for k, cell in row.items()} for row in csv.DictReader(file)]


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Rows of a frame."""
    return [{str(k): value for k, value in row.items()} for row in frame.to_dict("records")]


def done(options: argparse.Namespace, key: Sequence[str]) -> set[tuple[Any, ...]]:
    """Keys of the rows that the file of results has of this code; none with the option `again`."""
    rows = [] if options.again else saved(options.results)
    is_new = _is_new(options.results)
    return {tuple(row.get(name) for name in key) for row in rows if is_new[row["made"]]}


def only(rows: pd.DataFrame, **wanted: Iterable[object]) -> pd.DataFrame:
    """Rows that have one of the wanted values in each of these columns."""
    for name, values in wanted.items():
        rows = rows[rows[name].isin(list(values))]
    return rows


def save(path: Path, rows: Sequence[Row], key: Sequence[str], script: str) -> pd.DataFrame:
    """Add rows to a file of results, in place of those with the same key.

    Parameters
    ----------
    path
        The file.
    rows
        The same names in each; floats are rounded to six decimals.
    key
        Names that tell rows apart. Rows are sorted by all but the last one, by which they stay in
        the order in which they came.
    script
        `__file__` of the script.

    Returns
    -------
    All rows of the file.
    """
    made = made_with(script)
    made = {"id": hashlib.sha256(repr(made).encode()).hexdigest()[:8]} | made
    new = [{k: _value(k, _cell(v)) for k, v in row.items()} | {"made": made["id"]} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{MADE}.lock")):
        about = path.with_name(MADE)
        write(about, [*saved(about), made], ["script", "id"])
        return write(path, [*saved(path), *new], key)


def write(path: Path, rows: Iterable[Row], key: Sequence[str]) -> pd.DataFrame:
    """Write rows, of each key the last one, sorted as for `save`; returns them."""
    last = {tuple(row.get(name) for name in key): row for row in rows}
    ordered = sorted(last.values(), key=lambda row: [_rank(row.get(name)) for name in key[:-1]])
    names = dict.fromkeys([*key, *(name for row in ordered for name in row if name != "made")])
    if any("made" in row for row in ordered):
        names |= {"made": None}
    with atomic_write(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in ordered)
    return pd.DataFrame(ordered, columns=[*names]).drop(columns="made", errors="ignore")


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)


def _value(name: str, cell: str) -> Any:
    if name in ("data", "made", "id", "code", "commit", "python"):
        return cell
    if cell in ("", "True", "False"):
        return {"": None, "True": True, "False": False}[cell]
    for kind in (int, float):
        with suppress(ValueError):
            return kind(cell)
    return cell


def _rank(value: Any) -> tuple[bool, Any]:
    """Numbers before words, and nothing before both."""
    return isinstance(value, str), float("-inf") if value is None else value


def made_with(script: str) -> Row:
    """What a script's figures were measured with: its code, the processor, threads and versions."""
    path, threads = Path(script), os.environ.get("OMP_NUM_THREADS")
    return {
        "script": path.name,
        "code": code_digest(path.resolve()),
        "commit": commit(),
        "machine": platform.machine(),
        **processor(),
        "cores": int(threads) if threads else len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": " ".join(filter(None, map(_version, PACKAGES))),
    }


def _version(package: str) -> str:
    try:
        return f"{package}={version(package)}"
    except PackageNotFoundError:
        return ""


@cache
def code_digest(script: Path) -> str:
    """Digest of the code that a script runs, 12 hexadecimal digits."""
    files, ahead, names = set[Path](), {script}, set[str]()
    while ahead:
        path = ahead.pop()
        files.add(path)
        imported = installed.imported_names(path.read_text(encoding="utf-8"))
        names |= imported
        ahead |= set(filter(Path.is_file, (path.with_name(f"{name}.py") for name in imported)))
        ahead -= files
    modules = {name.partition(".")[2] for name in names} & _arrows().keys()
    parts = [
        installed.code_without_prose(path.read_text(encoding="utf-8")) for path in sorted(files)
    ]
    parts += map(_module_digest, sorted(installed.modules_run(modules, KINDS, _arrows())))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@cache
def _arrows() -> dict[str, set[str]]:
    return installed.import_graph()


@cache
def _module_digest(module: str) -> str:
    return installed.modules_digest([module])


@cache
def commit() -> str:
    """Commit of the code, with "+" if it was changed since; nothing outside a repository."""
    git = ["git", "-C", str(FOLDER)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return ""
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "*.py", "../src"], capture_output=True
    )
    return head.stdout.strip() + "+" * bool(changed.stdout)


@cache
def processor() -> Row:
    """Name of the processor, and those of `INSTRUCTIONS` that it has; nothing if not known."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = fields.get("flags", "").split()
    instructions = " ".join(name for name in INSTRUCTIONS if name in flags)
    return {"processor": fields.get("model name"), "instructions": instructions}


def older(path: Path) -> list[str]:
    """Tables of which a file of results has rows that are older than the code of their script."""
    is_new = _is_new(path)
    return sorted({row.get("data", "") for row in saved(path) if not is_new[row["made"]]})


def _is_new(path: Path) -> dict[str, bool]:
    """`made` of a file's rows → whether the code of the script is still that of these rows."""
    used = {row["made"] for row in saved(path)}
    return {
        made["id"]: made["code"] == code_digest((FOLDER / made["script"]).resolve())
        for made in saved(path.with_name(MADE))
        if made["id"] in used
    }


def tidy(folder: Path) -> list[Path]:
    """Files of results of a folder; what none of them was made with is left out of `MADE`."""
    about = folder / MADE
    with FileLock(about.with_name(f".{MADE}.lock")):
        files = [path for path in sorted(folder.glob("*.csv")) if path != about]
        used = {row["made"] for path in files for row in saved(path)}
        kept = [row for row in saved(about) if row["id"] in used]
        if kept != saved(about):
            write(about, kept, ["script", "id"])
    return files


def named(path: Path) -> str:
    """A file of results in which rows are older: its script, and the tables if not all are."""
    tables, every = older(path), {row.get("data", "") for row in saved(path)}
    return path.stem if len(tables) == len(every) else f"{path.stem} of {', '.join(tables)}"


def mark(page: str, names: Sequence[str]) -> str:
    """The page with these results named as older than the code."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    line = f"These results are older than the code that they are about: `{', '.join(names)}`."
    lines = textwrap.wrap(line, 100, break_on_hyphens=False) if names else []
    return before + START + "".join(f"{line}\n" for line in lines) + END + after


def main() -> None:
    """Print which results are older than the code, and name them in README.md.

    With `--release` any older result is an error.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--release", action="store_true", help="fail if a result is older")
    options = parser.parse_args()
    names = [named(path) for path in tidy(FOLDER / "results") if older(path)]
    print(f"older than the code: {', '.join(names) or 'none'}")
    page = README.read_text(encoding="utf-8")
    marked = mark(page, names)
    if marked != page:
        with atomic_write(README) as draft:
            draft.write_text(marked, encoding="utf-8")
    if options.release and names:
        raise SystemExit("a release needs results of this code: run these scripts again")


if __name__ == "__main__":
    main()
