"""Paths of a project's files, and functions that read and write text, CSV and JSON.

A file is written completely or not at all.
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

from paratopic.project.errors import DISK_FULL, UserError

if TYPE_CHECKING:
    import pandas as pd

# Files in a folder of articles: fields, one row for each article; labels of the articles'
# paragraphs; and topics with their definitions.
METADATA_FILE, LABELS_FILE, CODEBOOK_FILE = "metadata.csv", "labels.csv", "codebook.yaml"
# Files in a model's folder of scores: scores with context, and the histories of the fits.
IN_CONTEXT, HISTORY = "scores.parquet", "history.csv"
CALIBRATION = "calibration.json"
# Scores of models that were fitted to definitions only.
BY_DEFINITIONS = "definitions.parquet"
WITHOUT_CONTEXT = "without_context.parquet"
# Scores of paragraphs that are in no fold, because their topics are in only one article.
UNFOLDED = "unfolded.parquet"
# Scores of paragraphs without a label, by the models of the folds.
UNLABELLED = "unlabelled.parquet"
# Files in a model's folder of reports: a description of the final fit, and the model's card.
FINAL, MODEL_CARD = "final.json", "card.md"
# Folders of a project that contain only results.
RESULT_FOLDERS = "data", "models", "reports", ".dvc"
# Invisible characters that `str.strip` keeps; a table for `str.translate`.
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))
# Control characters without \t \n \v \f \r and NEL, which readers of files treat as white space.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Beginning of a cell that a spreadsheet may run, or that `escape_formula` has escaped. East Asian
# spreadsheets run cells that begin with full-width signs, too.
_FORMULA = re.compile(r"[\s']*[-=+@\t\r＝＋－＠]")
# Numbers and single signs, which begin as formulas do but are harmless.
_NUMBER = re.compile(r"[-+]?(\d[\d.,]*|[.,]\d+)?(e[-+]?\d+)?%?", re.ASCII | re.IGNORECASE)
# Temporary names of `atomic_write`.
DRAFT = re.compile(r"\..+\.\d+\.draft", re.DOTALL)
HOUR = 3600.0  # seconds
# Errors of files that cannot be written. They may lack the name of the file.
UNWRITABLE = {*DISK_FULL, errno.EACCES, errno.EPERM, errno.EROFS}


class Paths:
    """Paths of a project's files.

    Parameters
    ----------
    root
        The project's folder. Default: the current directory, for which paths are the same as in
        messages and dvc.yaml.
    """

    def __init__(self, root: Path = Path()) -> None:
        self.root = root
        self.params = root / "params.yaml"
        self.codebook = root / f"seeds/{CODEBOOK_FILE}"
        self.pipeline, self.lock = root / "dvc.yaml", root / "dvc.lock"
        # The template of questions to language models (`paratopic annotate`).
        self.prompt = root / "prompt.md"

        self.paragraphs = root / "data/paragraphs.parquet"
        # Votes of people, tables and weak sources; labels; the sample, which records how labels
        # were drawn; and the weak votes that fits read.
        self.votes, self.labels = root / "data/votes.parquet", root / "data/labels.parquet"
        self.sample, self.weak = root / "data/sample.parquet", root / "data/weak.parquet"
        self.metadata = root / "data/metadata.parquet"
        self.folds = root / "data/folds.parquet"
        # Paragraphs without a label, with the folds that hold them out.
        self.unlabelled = root / "data/unlabelled.parquet"
        # Out-of-fold scores of each model, before and after calibration.
        self.raw_scores, self.scores = root / "data/fits", root / "data/oof"
        # The champion's predictions for all paragraphs. The commands `shares` and `report` write
        # them if models of the folds have predicted only some paragraphs.
        self.predictions = root / "data/predicted.parquet"
        # The final fit of each model. With a calibration and a manifest it is the model that ships.
        self.final_fits = root / "data/final"
        # Durations of the last fits. DVC keeps this file out of git.
        self.times = root / ".dvc/tmp/paratopic/times.json"

        self.models, self.champion = root / "models", root / "models/champion"

        self.reports, self.model_reports = root / "reports", root / "reports/models"
        self.installed = root / "reports/installed.json"
        self.prepared, self.skipped = root / "reports/prepare.json", root / "reports/skipped.csv"
        self.split = root / "reports/split.json"
        self.comparison = root / "reports/comparison.json"
        self.picture = root / "reports/comparison.png"
        self.macro_f1 = root / "reports/macro_f1.json"
        self.page = root / "reports/index.html"
        # The page with the additions of `paratopic report --open`; no stage writes it.
        self.full_page = root / "reports/report.html"

    @property
    def topics(self) -> Path:
        """The file that contains the topics: params.yaml in old projects."""
        return self.codebook if self.codebook.exists() else self.params

    def name(self, path: Path) -> str:
        """Write a path as the project's files do: from the root, if it is in the project."""
        is_inside = path.is_relative_to(self.root)
        return printable(path.relative_to(self.root) if is_inside else path)


def find_root(path: Path) -> Path | None:
    """The current directory, or the closest one above it, that contains a path; None without."""
    here = Path.cwd()
    return next((root for root in (here, *here.parents) if (root / path).exists()), None)


def template_folder() -> Path:
    """The folder of the files that new projects copy.

    It is in the wheel. A package that is installed from a repository's folder uses the repository.
    """
    package = Path(__file__).parents[1]
    inside = package / "template"
    return inside if inside.exists() else package.parents[1]


def printable(text: str | Path) -> str:
    """Escape the surrogates of a path or a text, which UTF-8 cannot encode.

    >>> printable("caf\\udce9.txt")
    'caf\\\\udce9.txt'
    """
    return str(text).encode(errors="backslashreplace").decode()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file or a folder under a temporary name, and rename it once it is complete.

    A file is never incomplete. If the block raises or the process is killed, `path` keeps its old
    content, except that a folder is deleted just before another one takes its name. This function
    does not force data to the disk: a file that has to survive a power cut is synced in the block,
    as in `labels.log`.

    Yields
    ------
    The temporary path, at which the block makes the file or folder. It is in the folder of `path`,
    which is made if it is missing.

    Raises
    ------
    UserError
        The path is one of a project's results, and a link leads outside of the project.
    OSError
        The path cannot be written, for a lack of permission or space. The error names `path`, even
        if the library that writes names the temporary path or none.
    """
    root = next((above for above in path.parents if Paths(above).params.exists()), None)
    if root is not None and path.relative_to(root).parts[0] in RESULT_FOLDERS:
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
        names = error.filename, error.filename2  # copying names the file and its copy
        names_draft = any(str(name).startswith(str(draft)) for name in names)
        if names_draft or (error.filename is None and error.errno in UNWRITABLE):
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
        raise
    finally:
        with suppress(OSError):  # a folder without write permission keeps its draft
            _remove(draft)


def refuse_outside(path: Path, root: Path) -> None:
    """Raise a `UserError` if a path leads, through links or not, out of the project with this root.

    The project may come from a stranger, so that other places are written only if the user names
    them on the command line.
    """
    target = path.resolve()
    if not target.is_relative_to(root.resolve()):
        raise UserError(
            f"{path}: paratopic does not write outside of the project, to {target}. Remove the "
            "link, or name a path in the project"
        )


@functools.cache  # once for each folder and process
def _remove_drafts(folder: Path) -> None:
    """Remove drafts over an hour old; a process on another machine may write younger ones."""
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
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def escape_formula(cell: str) -> str:
    """Keep a spreadsheet from running a cell as a formula; `unescape_formula` is the inverse.

    A cell that begins like a formula gets an apostrophe in front, even if it has one; numbers stay
    as they are. See https://owasp.org/www-community/attacks/CSV_Injection.

    >>> [escape_formula(cell) for cell in ("=1+1", "1 + 1", "'=1+1", "-1.5")]
    ["'=1+1", '1 + 1', "''=1+1", '-1.5']
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unescape_formula(cell: str) -> str:
    """Return the cell that `escape_formula` was called with.

    >>> unescape_formula("'=1+1"), unescape_formula("1 + 1")
    ('=1+1', '1 + 1')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def escape_markdown(text: str) -> str:
    r"""Escape the signs of Markdown and HTML in a text, such as those of an image or a new cell.

    >>> print(escape_markdown("<img src=x> | *R&D*"))
    &lt;img src=x&gt; \| \*R&amp;D\*
    """
    return re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(text, quote=False))


def _change_texts(change: Callable[[str], str], table: pd.DataFrame) -> pd.DataFrame:
    """Change all texts in a table, and the names of its columns."""
    text_columns = [name for name in table if table[name].dtype.kind not in "biuf"]
    changed = table[text_columns].map(lambda cell: change(cell) if isinstance(cell, str) else cell)
    return table.assign(**changed).rename(columns=change)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: UTF-8, LF, no index; texts and names are escaped (`escape_formula`)."""
    write_text(path, _change_texts(escape_formula, table).to_csv(index=False, lineterminator="\n"))


def write_json(path: Path, values: Mapping[str, object], digits: int = 6) -> None:
    """Write indented JSON.

    Parameters
    ----------
    values
        JSON object. NaN and infinity raise a `ValueError`.
    digits
        Number of decimals of floats. Default: 6, with which a report is the same on all machines,
        although they differ in later digits. Numbers that a model computes with need more.
    """
    exact = json.dumps(values, allow_nan=False)
    rounded = json.loads(exact, parse_float=lambda number: round(float(number), digits))
    write_text(path, json.dumps(rounded, indent=2, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 of the names and bytes of a folder's files, in hexadecimal digits."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256(path)} {path.relative_to(folder).as_posix()}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """Read a JSON object, with the errors of `checked_read`; `Report.load` reads known fields."""
    with checked_read(made_by, path):
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return values


def read_csv(path: Path, made_by: str, **options: Any) -> pd.DataFrame:
    """Read a table that `write_csv` wrote, with the errors of `checked_read`."""
    import pandas as pd

    with checked_read(made_by, path):
        table: pd.DataFrame = pd.read_csv(path, **options)
    return _change_texts(unescape_formula, table)


def read_text(path: Path) -> str:
    """Read the text of params.yaml or the codebook without changing its line ends.

    Raises
    ------
    UserError
        The file is missing, cannot be read or is not UTF-8.
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
def checked_read(made_by: str, path: Path) -> Iterator[None]:
    """Report a missing or damaged file, which the block reads, as a `UserError`.

    FileNotFoundError, ValueError and RecursionError become one; other errors pass. The message
    names the path and `made_by`, the command or stage that writes the file.
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} not found: {made_by} writes it") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): {made_by} writes it anew") from None


def outdated_error(path: Path) -> UserError:
    """Make the error for a result that does not fit the present codebook or paragraphs."""
    return UserError(f"{path} was made from other topics or paragraphs: run `dvc repro` again")
