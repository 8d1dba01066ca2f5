"""Bulk prediction: files of any size are read, predicted and written shard by shard.

Memory stays constant, since a shard has at most `formats.SHARD` rows. Each input has shards of its
own, in its own order and format: tables keep all of their columns, workbooks become CSV, articles
JSON lines, one per paragraph. A shard appears only when it is complete, and an interrupted run goes
on with the first input that is not; the result is identical.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from paratopic.bulk import formats
from paratopic.bulk.formats import Chunk, Columns, files_read, format_of, with_context
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.project.files import DRAFT, aside, read_json, write_json, write_text
from paratopic.project.languages import language_of
from paratopic.project.texts import Text, plain
from paratopic.project.topics import split_cell

log = logging.getLogger(__name__)

# Texts that are predicted together; progress is reported after them.
STEP = 250

# Fields of a prediction that become columns, and the types of their values.
ANSWER = {"confidence": float, "sure": bool, "windows": int}

# Files of the output folder that are not shards. Readers of tables skip names with an underscore.
PLAN, PROGRESS = "_plan.json", "_progress.json"
# Of these two files: a run of another version is not resumed.
FORMAT = 7
# Decimals of sums in them, and so of those of a run that is not interrupted.
DIGITS = 9
# Name of the column with the language of a text; tables may have one of their own.
LANGUAGE = "text_language"
_SHARD = re.compile(r"(\d{5,})-.*-(\d{5,})\.\w+", re.DOTALL)


@dataclass(frozen=True)
class Done:
    """How far a run is.

    Parameters
    ----------
    input
        Number of the input that is next, from 0.
    errors
        Rows among them that have an error.
    counts
        Number of rows with a text with each outcome (`Mode.outcomes`), as predicted; empty before
        the first.
    right
        Sum of the probabilities that the answers to these texts are right.
    languages
        Language → number of these texts in it; "" for those without one.
    """

    input: int = 0
    rows: int = 0
    errors: int = 0
    shards: int = 0
    counts: Sequence[int] = ()
    right: float = 0.0
    languages: Mapping[str, int] = field(default_factory=dict)

    def add(self, job: Job, columns: Columns) -> Done:
        """Count the rows that columns were added to, and what was predicted for them."""
        n, classes, mode = len(columns["error"]), job.model.classes_, job.model.mode
        n_errors = n - columns["error"].count(None)
        done = replace(self, rows=self.rows + n, errors=self.errors + n_errors)
        known = [row for row, windows in enumerate(columns["windows"]) if windows]
        if not known:
            return done
        scores = np.array([[columns[f"score_{topic}"][row] for topic in classes] for row in known])
        answers = [split_cell(columns[_topics(job.model)][row] or "") for row in known]
        predicted = np.array([[name in answer for name in classes] for answer in answers])
        counts = mode.outcomes(predicted).sum(axis=0) + (self.counts or 0)
        right = self.right + float(mode.certainty(scores, predicted).sum())
        languages = Counter(self.languages)
        languages.update(columns[LANGUAGE][row] or "" for row in known)
        return replace(done, counts=counts.tolist(), right=right, languages=dict(languages))


@dataclass(frozen=True)
class Job:
    """What is to be predicted.

    Parameters
    ----------
    inputs
        Tables (.csv, .xlsx, .jsonl, .parquet) and articles (every other file).
    column
        Name of a table's column that holds the texts.
    """

    model: Model
    inputs: Sequence[Path]
    column: str

    @property
    def added(self) -> dict[str, type]:
        """The columns that are added to a row, and the types of their values."""
        scores = dict.fromkeys((f"score_{topic}" for topic in self.model.classes_), float)
        return {_topics(self.model): str, **ANSWER, **scores, LANGUAGE: str, "error": str}

    def chunks(self, added: Collection[str], first: int = 0) -> Iterator[tuple[int, int, Chunk]]:
        """Number of the input, from `first` on, number of its shard, and the shard's rows."""
        in_context = any(asdict(self.model.context).values())  # its weights
        for number, path in list(enumerate(self.inputs))[first:]:
            log.info("reading %s", path)
            chunks = format_of(path).read(path, self.column, added)
            for shard, chunk in enumerate(chunks):
                # Articles know what stands around their paragraphs.
                if in_context and any(isinstance(text, str) for text in chunk.texts):
                    chunk = with_context(chunk, format_of(path).columns(chunk.rows))
                yield number, shard, chunk

    def check(self, added: Collection[str]) -> None:
        """Refuse tables without the column of texts, with one of those added, and damaged ones."""
        for path in self.inputs:
            format_of(path).check(path, self.column, added)


# Called with the number of rows predicted so far and the share of all inputs, 0 to 1.
Advance = Callable[[int, float], None]


def predict_columns(model: Model, texts: Sequence[Text]) -> Columns:
    """The columns that are added to the rows of these texts, except that of the errors."""
    answers, mode = model.predict(texts), model.mode
    columns: Columns = {_topics(model): [mode.cell(answer.topics) for answer in answers]}
    columns |= {name: [getattr(answer, name) for answer in answers] for name in ANSWER}
    scores = {f"score_{t}": [answer.scores[t] for answer in answers] for t in model.classes_}
    return columns | scores | {LANGUAGE: [language_of(text) for text in plain(texts)]}


def predict_files(job: Job, out: Path, resume: bool, advance: Advance) -> Done:
    """Predict the rows of tables and the paragraphs of articles.

    Parameters
    ----------
    out
        Folder for the shards, ``NUMBER-NAME-SHARD`` with the suffix of their format. Each row gains
        the columns predicted_topic (in mode multi predicted_topics, separated by ";"), confidence,
        sure, windows, ``score_TOPIC`` for each topic, text_language and error.
    resume
        Continue an interrupted run in the folder, if there is one.

    Raises
    ------
    UserError
        The folder is not empty, or belongs to another run, which may be writing into it now; an
        input cannot be read, lacks the column, or already has one that would be added.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    place = out.resolve()  # one lock for a folder and all links to it
    try:
        with FileLock(place.with_name(f".{place.name}.lock"), timeout=0):
            return _predict_files(job, out, resume, advance)
    except Timeout:
        raise UserError(
            f"another program is writing predictions into {out}: wait for it, or name another "
            "folder"
        ) from None


def _predict_files(job: Job, out: Path, resume: bool, advance: Advance) -> Done:
    if not resume:  # before anything is written: inputs that are mended later are other inputs
        job.check(job.added)
    done = _begin(job, out, resume)
    sizes = [path.stat().st_size for path in job.inputs]
    share = share_done(sizes, done.input)
    advance(done.rows, share)

    def show(rows: int) -> None:
        advance(done.rows + rows, share)

    for number, of_input in groupby(job.chunks(job.added, done.input), key=itemgetter(0)):
        for _, shard, chunk in of_input:
            columns = predict_chunk(job, chunk, show)
            _write_shard(out, number, shard, job, chunk, columns)
            done = replace(done.add(job, columns), shards=done.shards + 1)
            share = share_done(sizes, number, chunk.share)
            advance(done.rows, share)
        write_json(out / PROGRESS, asdict(replace(done, input=number + 1)), digits=DIGITS)
        done = _read_progress(out / PROGRESS)  # as a run that is resumed does
    return done


def _plan(job: Job) -> dict[str, object]:
    """What has to be the same when a run is resumed."""
    inputs = [(str(path), path.stat()) for path in files_read(job.inputs)]
    return {
        "model": job.model.digest,
        "column": job.column,
        "format": FORMAT,
        "rows_a_shard": formats.SHARD,
        "inputs": [
            {"path": path, "size": stat.st_size, "modified": stat.st_mtime_ns}
            for path, stat in inputs
        ],
    }


def _begin(job: Job, out: Path, resume: bool) -> Done:
    """Create the output folder, or find out how far the run in it is."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder")
    present = list(out.iterdir()) if out.is_dir() else []
    drafts = [path for path in present if DRAFT.fullmatch(path.name) and path.is_file()]
    if not resume and any(path.name != PLAN for path in present):
        raise UserError(
            f"{out} is not empty: name another folder, or continue the run in it with --resume"
        )
    plan = _plan(job)
    # A folder with nothing but a plan is as good as empty: its run wrote no shard.
    if any(path.name != PLAN and path not in drafts for path in present):
        _check_plan(out, plan)
    for draft in drafts:
        draft.unlink()
    write_json(out / PLAN, plan)
    if not (out / PROGRESS).exists():
        return Done()
    done = _read_progress(out / PROGRESS)
    written = sum(_is_before(path, done, job.inputs) for path in present)
    if written != done.shards:
        raise UserError(
            f"{out} cannot be resumed: of {done.shards} files that were written {written} are "
            "there; put the others back, or name another folder"
        )
    return done


def _read_progress(path: Path) -> Done:
    values = read_json(path, "the run that is resumed")
    try:
        return Done(**values)
    except TypeError:
        raise UserError(f"{path} is damaged; name another folder") from None


def _is_before(path: Path, done: Done, inputs: Sequence[Path]) -> bool:
    """Whether a file is a shard of an input before the one that is next."""
    match = _SHARD.fullmatch(path.name)
    if match is None or (number := int(match[1])) >= done.input:
        return False
    is_of_run = path.name == _shard_name(number, int(match[2]), inputs[number])
    # JSON lines alone may be none.
    return is_of_run and (path.suffix == ".jsonl" or path.stat().st_size > 0)


def _check_plan(out: Path, plan: dict[str, object]) -> None:
    begun = read_json(out / PLAN, "`paratopic predict --out` without --resume")
    titles = {"model": "the model", "inputs": "the inputs", "column": "--text"}
    changed = [f": {titles[key]} changed since" for key in titles if begun.get(key) != plan[key]]
    if begun != plan:
        why = (changed or [" by this version of paratopic"])[0]
        raise UserError(f"{out} cannot be resumed{why}; name another folder")


def predict_chunk(job: Job, chunk: Chunk, show: Callable[[int], None]) -> Columns:
    """The columns that are added to a chunk's rows; a row with an error has nothing but that.

    The number of its rows that are done is shown after each step.
    """
    columns: Columns = {name: [None] * len(chunk.texts) for name in job.added}
    columns["error"] = list(chunk.errors)
    started = time.monotonic()
    good = [row for row, error in enumerate(chunk.errors) if error is None]
    for start in range(0, len(good), STEP):
        rows = good[start : start + STEP]
        texts = [chunk.texts[row] or "" for row in rows]
        for name, values in predict_columns(job.model, texts).items():
            for row, value in zip(rows, values, strict=True):
                columns[name][row] = value
        show(rows[-1] + 1)
    windows = sum(filter(None, columns["windows"]))
    seconds = time.monotonic() - started
    log.info("%d rows, %d windows: %.2f s", len(chunk.texts), windows, seconds)
    return columns


def _write_shard(
    out: Path, number: int, shard: int, job: Job, chunk: Chunk, columns: Columns
) -> None:
    """Write a shard; beside the first of an article, its parts that are no paragraphs."""
    path = job.inputs[number]
    lines = [json.dumps(asdict(part), ensure_ascii=False) + "\n" for part in chunk.skipped]
    if lines:
        write_text(out / f"_skipped-{number:05}-{_short_stem(path)}.jsonl", "".join(lines))
    with aside(out / _shard_name(number, shard, path)) as draft:
        format_of(path).write(draft, chunk.rows, columns, job.added)
        with draft.open("r+b") as file:  # on the disk before the progress that counts it
            os.fsync(file.fileno())


def _shard_name(number: int, shard: int, path: Path) -> str:
    """Name of a shard of input `number`: "in.csv" → "00000-in-00002.csv"."""
    return f"{number:05}-{_short_stem(path)}-{shard:05}{format_of(path).suffix}"


def _short_stem(path: Path) -> str:
    """Stem of an input, cut to leave room for what is added: names have 255 bytes at most."""
    return path.stem.encode()[:200].decode(errors="ignore")


def share_done(sizes: Sequence[int], number: int, part: float = 0.0) -> float:
    """Share of all inputs that is done: those before input `number`, and a part of that one.

    >>> share_done([30, 10], 1, 0.5)
    0.875
    """
    done = sum(sizes[:number]) + part * sum(sizes[number : number + 1])
    return done / max(1, sum(sizes))


def _topics(model: Model) -> str:
    """Name of the column of predicted topics."""
    return f"predicted_topic{model.mode.plural}"
