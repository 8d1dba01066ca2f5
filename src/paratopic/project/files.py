"""The files of a project: where they are, and reading and writing files of any kind.

Writes are all or nothing, and text may be in any common encoding. The contents are the callers'
business: only the form of text, CSV and JSON is fixed here.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import html
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paratopic.project.errors import FULL, UserError

if TYPE_CHECKING:
    import pandas as pd

# Of the articles in a folder: their fields, one article a row, the labels of their paragraphs, and
# the topics with their definitions.
SHEET, LOG, CODEBOOK = "metadata.csv", "labels.csv", "codebook.yaml"
# In a model's folder of scores: those in context, and the histories of the fits.
IN_CONTEXT, HISTORY = "scores.parquet", "history.csv"
CALIBRATION = "calibration.json"
# Scores of models that know definitions alone.
BY_DEFINITIONS = "definitions.parquet"
WITHOUT_CONTEXT = "without_context.parquet"
# And of paragraphs that are in no fold, because their topics are in one article alone.
UNFOLDED = "unfolded.parquet"
# And of paragraphs without a label, by the models of the folds.
UNLABELLED = "unlabelled.parquet"
# In a model's folder of reports: what the model that ships learnt from, and its card.
FINAL, MODEL_CARD = "final.json", "card.md"
# Folders of a project that hold results alone.
RESULTS = "data", "models", "reports", ".dvc"
# Characters that show nothing and that `str.strip` keeps; a table for `str.translate`.
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))
# All but \t \n \v \f \r and NEL, which are white space as readers of files see it.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Beginning of a cell that a spreadsheet may run, or that `inert` has already changed. In East Asian
# spreadsheets full-width signs count too.
_FORMULA = re.compile(r"[\s']*[-=+@\t\r＝＋－＠]")
# What begins as a formula does, but is a number, or a sign alone.
_NUMBER = re.compile(r"[-+]?(\d[\d.,]*|[.,]\d+)?(e[-+]?\d+)?%?", re.ASCII | re.IGNORECASE)
# Names that `aside` writes under.
DRAFT = re.compile(r"\..+\.\d+\.draft", re.DOTALL)
HOUR = 3600.0  # seconds
# Errors of a file that cannot be written, which may not name it.
UNWRITABLE = {*FULL, errno.EACCES, errno.EPERM, errno.EROFS}


class Paths:
    """Where the files of a project are.

    Parameters
    ----------
    root
        The project's folder; by default the current directory. Then paths are as messages and
        dvc.yaml have them.
    """

    def __init__(self, root: Path = Path()) -> None:
        self.root = root
        self.params = root / "params.yaml"
        self.codebook = root / f"seeds/{CODEBOOK}"
        self.pipeline, self.lock = root / "dvc.yaml", root / "dvc.lock"
        # What language models are asked (`paratopic annotate`).
        self.prompt = root / "prompt.md"

        self.paragraphs = root / "data/paragraphs.parquet"
        # Votes of people, tables and weak sources; what counts of them; how labels were drawn; and
        # votes that fits read.
        self.votes, self.labels = root / "data/votes.parquet", root / "data/labels.parquet"
        self.sample, self.weak = root / "data/sample.parquet", root / "data/weak.parquet"
        self.metadata = root / "data/metadata.parquet"
        self.folds = root / "data/folds.parquet"
        # Paragraphs without a label, and the folds that hold them out.
        self.dealt = root / "data/unlabelled.parquet"
        # Out-of-fold scores of each model as its fits give them, and calibrated.
        self.raw_scores, self.scores = root / "data/fits", root / "data/oof"
        # What the champion predicts for all paragraphs, kept by the commands `shares` and `report`
        # where models of the folds have predicted only some.
        self.predicted = root / "data/predicted.parquet"
        # The final fit of each model, which a calibration and a manifest make a model that ships.
        self.final_fits = root / "data/final"
        # How long the last fits took. DVC keeps it out of git.
        self.times = root / ".dvc/tmp/paratopic/times.json"

        self.models, self.champion = root / "models", root / "models/champion"

        self.reports, self.model_reports = root / "reports", root / "reports/models"
        self.installed = root / "reports/installed.json"
        self.prepared, self.skipped = root / "reports/prepare.json", root / "reports/skipped.csv"
        self.split = root / "reports/split.json"
        self.comparison = root / "reports/comparison.json"
        self.picture = root / "reports/comparison.png"
        self.headlines = root / "reports/macro_f1.json"
        self.page = root / "reports/index.html"
        # The same with what `paratopic report --open` adds: no stage writes it.
        self.whole_page = root / "reports/report.html"

    @property
    def topics(self) -> Path:
        """The file that has the topics: params.yaml in projects of before."""
        return self.codebook if self.codebook.exists() else self.params

    def name(self, path: Path) -> str:
        """A path as the project has it in its files: from the root, if it is inside."""
        is_inside = path.is_relative_to(self.root)
        return printable(path.relative_to(self.root) if is_inside else path)


def root_with(path: Path) -> Path | None:
    """Find the current directory, or the nearest one above it, that has a path of a project."""
    here = Path.cwd()
    return next((root for root in (here, *here.parents) if (root / path).exists()), None)


def template() -> Path:
    """Folder of the files that projects share: in the wheel, or the repository that it is made of.

    A package that is installed from a repository's folder has the repository's files.
    """
    package = Path(__file__).parents[1]
    inside = package / "template"
    return inside if inside.exists() else package.parents[1]


def printable(text: str | Path) -> str:
    """A path, or a text that may quote half of a letter, as text that can be written as UTF-8.

    >>> printable("caf\\udce9.txt")
    'caf\\\\udce9.txt'
    """
    return str(text).encode(errors="backslashreplace").decode()


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Write a file or a folder under a temporary name, and rename it once it is complete.

    Nobody meets `path` half-written. When the block raises or the process is killed, `path` keeps
    its old content. What has to survive a power cut, too, is synced in the block, as `labels.log`
    does: nothing is forced to the disk here.

    Yields
    ------
    The temporary path to write to, in the same folder, which is made if it is missing.

    Raises
    ------
    UserError
        The path is one of a project's results, and a link leads outside of the project.
    OSError
        It cannot be written, for a lack of permission or space. The error names `path`, where that
        of the library that writes names its draft or nothing.
    """
    root = next((above for above in path.parents if Paths(above).params.exists()), None)
    if root is not None and path.relative_to(root).parts[0] in RESULTS:
        refuse_outside(path.parent, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_drafts(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        _remove(draft)  # a link would be followed
        yield draft
        if draft.is_dir() and path.is_dir():
            shutil.rmtree(path)  # a folder cannot be renamed over one that is not empty
        os.replace(draft, path)
    except OSError as error:
        names = error.filename, error.filename2  # of a file that is copied, and of its copy
        of_draft = any(str(name).startswith(str(draft)) for name in names)
        if of_draft or (error.filename is None and error.errno in UNWRITABLE):
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
        raise
    finally:
        with suppress(OSError):  # where nothing can be written, nor can the draft be removed
            _remove(draft)


def refuse_outside(path: Path, root: Path) -> None:
    """Raise a `UserError` if a path leads outside of the project with a root.

    The project may be a stranger's. What is elsewhere is written only where the user names it on
    the command line.
    """
    if not (place := path.resolve()).is_relative_to(root.resolve()):
        raise UserError(
            f"{path}: paratopic does not write outside of the project, to {place}. Remove the "
            "link, or name a path in the project"
        )


@functools.cache  # once a folder and process
def _remove_drafts(folder: Path) -> None:
    """Remove what processes that were killed more than an hour ago have left in a folder.

    Of younger ones, a process of another machine may still write them.
    """
    for draft in folder.iterdir():
        with suppress(OSError):
            if DRAFT.fullmatch(draft.name) and time.time() - draft.stat().st_mtime > HOUR:
                _remove(draft)


def _remove(draft: Path) -> None:
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft)
    else:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 with LF line ends."""
    with aside(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def inert(cell: str) -> str:
    """Keep a spreadsheet from running a cell as a formula; `live` gives the cell back.

    One apostrophe is put before it, also where there is one already. See
    https://owasp.org/www-community/attacks/CSV_Injection.

    >>> [inert(cell) for cell in ("=1+1", "1 + 1", "'=1+1", "-1.5")]
    ["'=1+1", '1 + 1', "''=1+1", '-1.5']
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def live(cell: str) -> str:
    """Give back the cell that `inert` was called with.

    >>> live("'=1+1"), live("1 + 1")
    ('=1+1', '1 + 1')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def markdown(text: str) -> str:
    r"""Keep Markdown from reading a text as anything but text, such as an image or a new cell.

    >>> print(markdown("<img src=x> | *R&D*"))
    &lt;img src=x&gt; \| \*R&amp;D\*
    """
    return re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(text, quote=False))


def _each_cell(change: Callable[[str], str], table: pd.DataFrame) -> pd.DataFrame:
    """The table with all of its texts and the names of its columns changed."""
    texts = [name for name in table if table[name].dtype.kind not in "biuf"]
    changed = table[texts].map(lambda cell: change(cell) if isinstance(cell, str) else cell)
    return table.assign(**changed).rename(columns=change)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: UTF-8, LF line ends, no index.

    No spreadsheet runs one of its cells, or the name of a column, as a formula.
    """
    write_text(path, _each_cell(inert, table).to_csv(index=False, lineterminator="\n"))


def write_json(path: Path, values: Mapping[str, object], digits: int = 6) -> None:
    """Write indented JSON.

    Parameters
    ----------
    values
        JSON object. NaN and infinity raise a `ValueError`.
    digits
        Decimals that floats are rounded to. Machines differ in the later digits of a figure; with
        6 decimals a report is the same on all of them. Numbers that a model computes with need
        more.
    """
    exact = json.dumps(values, allow_nan=False)
    rounded = json.loads(exact, parse_float=lambda number: round(float(number), digits))
    write_text(path, json.dumps(rounded, indent=2, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(folder: Path) -> str:
    """SHA-256 of the names and bytes of a folder's files, in hexadecimal digits."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256(path)} {path.relative_to(folder).as_posix()}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """Read a JSON object, with errors as of `written_by`.

    `reports.Report.load` reads one whose fields are known.
    """
    with written_by(made_by, path):
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return values


def read_csv(path: Path, made_by: str, **options: Any) -> pd.DataFrame:
    """Read a table that `write_csv` wrote, with errors as of `written_by`."""
    import pandas as pd

    with written_by(made_by, path):
        table: pd.DataFrame = pd.read_csv(path, **options)
    return _each_cell(live, table)


def read_text(path: Path) -> str:
    """Read the text of params.yaml, or of the codebook, with its line ends.

    A `UserError` says that it is missing or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UserError(
            f"this folder is not a paratopic project, because it has no {path}: run this in a "
            "project's folder, or start a project with `paratopic init`"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise UserError(f"{path}, line {line}: is not UTF-8; save the file as UTF-8") from None


@contextmanager
def written_by(made_by: str, path: Path) -> Iterator[None]:
    """Read a file in a block; a `UserError` says that it is missing or damaged.

    It also names the command or stage that writes the file.
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} not found: {made_by} writes it") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): {made_by} writes it anew") from None


def outdated(path: Path) -> UserError:
    """What to say of a result that does not fit the codebook or the paragraphs as they are now."""
    return UserError(f"{path} was made from other topics or paragraphs: run `dvc repro` again")
