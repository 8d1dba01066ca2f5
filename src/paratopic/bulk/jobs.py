"""Bulk prediction of files of any size: read, predict and write shard by shard.

A shard has at most `formats.SHARD` rows, so that memory use is constant. Each input has its own
shards, in its order and format: tables keep all columns, workbooks become CSV, and articles become
JSON lines. An interrupted run goes on with the first incomplete input, and gives the same bytes.
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
from paratopic.bulk.formats import Chunk, Columns, format_of, input_files, with_context
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.project.files import DRAFT, atomic_write, read_json, write_json, write_text
from paratopic.project.languages import detect_language
from paratopic.project.texts import Text, plain_texts
from paratopic.project.topics import split_cell

log = logging.getLogger(__name__)

# Number of texts that are predicted together. Progress is reported after each step.
STEP = 250

# Fields of a prediction that become columns → types of their values.
FIELDS = {"confidence": float, "sure": bool, "windows": int}

# Files of the output folder that are not shards. Readers of tables skip names that begin with _.
PLAN, PROGRESS = "_plan.json", "_progress.json"
# Version of the format of these two files. A run of another version cannot be resumed.
FORMAT = 7
# Decimals of sums in these files. Runs without an interruption round them, too.
DIGITS = 9
# Name of the column with the language of a text. It differs from names that tables often have.
LANGUAGE = "text_language"
_SHARD = re.compile(r"(\d{5,})-.*-(\d{5,})\.\w+", re.DOTALL)


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Parameters
    ----------
    input
        Number of the next input, from 0.
    rows, errors, shards
        Numbers of rows that have been predicted, of those with an error, and of shards.
    counts
        Number of texts with each predicted outcome (`Mode.outcomes`), without blank texts and rows
        with an error; empty before the first text.
    right, languages
        Sum of the probabilities that these predictions are right; language or "" → number of texts.
    """

    input: int = 0
    rows: int = 0
    errors: int = 0
    shards: int = 0
    counts: Sequence[int] = ()
    right: float = 0.0
    languages: Mapping[str, int] = field(default_factory=dict)

    def add(self, job: Job, columns: Columns) -> Progress:
        """Return totals with the `columns` of `predict_chunk` added; `input` and `shards` stay."""
        n, classes, mode = len(columns["error"]), job.model.classes_, job.model.mode
        n_errors = n - columns["error"].count(None)
        progress = replace(self, rows=self.rows + n, errors=self.errors + n_errors)
        texts = [row for row, windows in enumerate(columns["windows"]) if windows]
        if not texts:
            return progress
        predicted_topics = [split_cell(columns[_topics(job.model)][row] or "") for row in texts]
        scores = np.empty((len(texts), len(classes)))
        predicted = np.empty(scores.shape, dtype=bool)
        for column, topic in enumerate(classes):
            scores[:, column] = [columns[f"score_{topic}"][row] for row in texts]
            predicted[:, column] = [topic in topics for topics in predicted_topics]
        counts = mode.outcomes(predicted).sum(axis=0) + (self.counts or 0)
        right = self.right + float(mode.certainty(scores, predicted).sum())
        languages = Counter(self.languages)
        languages.update(columns[LANGUAGE][row] or "" for row in texts)
        return replace(progress, counts=counts.tolist(), right=right, languages=dict(languages))


@dataclass(frozen=True)
class Job:
    """Inputs of bulk prediction, and the model; `column` has the texts in tables.

    Inputs are tables (.csv, .xlsx, .jsonl, .parquet) and articles (all other files).
    """

    model: Model
    inputs: Sequence[Path]
    column: str

    @property
    def added(self) -> dict[str, type]:
        """Name of each added column → type of its values."""
        scores = dict.fromkeys((f"score_{topic}" for topic in self.model.classes_), float)
        return {_topics(self.model): str, **FIELDS, **scores, LANGUAGE: str, "error": str}

    def chunks(self, added: Collection[str], first: int = 0) -> Iterator[tuple[int, int, Chunk]]:
        """Yield the number of the input, from `first` on, the number of its shard, and the chunk.

        Both count from 0. `added` has the names that no column of the inputs may have. Texts of
        tables get their context (`with_context`) if the model reads any.
        """
        in_context = any(asdict(self.model.context).values())  # the model's weights of context
        for number, path in list(enumerate(self.inputs))[first:]:
            log.info("reading %s", path)
            for shard, chunk in enumerate(format_of(path).read(path, self.column, added)):
                # Paragraphs of articles have their context already.
                if in_context and any(isinstance(text, str) for text in chunk.texts):
                    chunk = with_context(chunk, format_of(path).columns(chunk.rows))
                yield number, shard, chunk

    def check(self, added: Collection[str]) -> None:
        """Raise a `UserError` for a table without the column of texts or with one in `added`."""
        for path in self.inputs:
            format_of(path).check(path, self.column, added)


# Function that gets the number of rows predicted so far, and their share of the inputs, 0 to 1.
Advance = Callable[[int, float], None]


def predict_columns(model: Model, texts: Sequence[Text]) -> Columns:
    """Predict n texts: `Job.added` except error → n values; no topic is None, in multi ""."""
    predictions, mode = model.predict(texts), model.mode
    columns: Columns = {_topics(model): [mode.cell(row.topics) for row in predictions]}
    for name in FIELDS:
        columns[name] = [getattr(row, name) for row in predictions]
    for topic in model.classes_:
        columns[f"score_{topic}"] = [row.scores[topic] for row in predictions]
    columns[LANGUAGE] = [detect_language(text) for text in plain_texts(texts)]
    return columns


def predict_files(job: Job, out: Path, resume: bool, advance: Advance) -> Progress:
    """Predict the rows of tables and the paragraphs of articles into shards; return the totals.

    `advance` gets the number of rows predicted so far, and their share of the inputs, 0 to 1. A
    `UserError` reports a damaged .csv or .parquet file, a table without the column or with an added
    one, and that `out` is a file, that another program writes into it, or that it has output:
    without `resume` any, with it that of another run, or not all of its shards.

    Parameters
    ----------
    out
        Folder for the shards, ``NUMBER-NAME-SHARD`` with the suffix of their format. Added columns
        are predicted_topic (in mode multi predicted_topics, separated by ";"), confidence, sure,
        windows, ``score_TOPIC`` for each topic, text_language and error; with one, others are None.
    resume
        Continue an interrupted run in the folder, if there is one; its totals are included.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.resolve()  # a folder and all links to it share one lock
    try:
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
            return _predict_files(job, out, resume, advance)
    except Timeout:
        raise UserError(
            f"another program is writing predictions into {out}: wait for it, or name another "
            "folder"
        ) from None


def _predict_files(job: Job, out: Path, resume: bool, advance: Advance) -> Progress:
    """Predict the inputs that are not done into shards, and save the progress after each input.

    `predict_files`, which holds the lock on the folder, describes the parameters and the result.
    Without `resume`, a folder with output and an input that `Job.check` refuses are a `UserError`.
    """
    if not resume:  # a run cannot be resumed once its inputs are corrected
        job.check(job.added)
    progress = _begin(job, out, resume)
    sizes = [path.stat().st_size for path in job.inputs]
    share = share_done(sizes, progress.input)
    advance(progress.rows, share)

    def show(rows: int) -> None:
        advance(progress.rows + rows, share)

    for number, shards in groupby(job.chunks(job.added, progress.input), key=itemgetter(0)):
        for _, shard, chunk in shards:
            columns = predict_chunk(job, chunk, show)
            _write(out, number, shard, job, chunk, columns)
            progress = replace(progress.add(job, columns), shards=progress.shards + 1)
            share = share_done(sizes, number, chunk.share)
            advance(progress.rows, share)
        write_json(out / PROGRESS, asdict(replace(progress, input=number + 1)), digits=DIGITS)
        progress = _read_progress(out / PROGRESS)  # a resumed run reads the same rounded sums
    return progress


def _plan(job: Job) -> dict[str, object]:
    """Plan that a resumed run must share: model (digest), column, format, rows_a_shard, inputs."""
    inputs = [(str(path), path.stat()) for path in input_files(job.inputs)]
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


def _begin(job: Job, out: Path, resume: bool) -> Progress:
    """Check the folder, write the plan, delete drafts, and return the progress to go on from.

    This is `Progress()` if no input is done. A `UserError` reports that `out` is a file, has output
    without `resume`, or has output of another plan or not all shards of the inputs that are done.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder")
    present = list(out.iterdir()) if out.is_dir() else []
    # A folder that has only a plan counts as empty, because its run wrote no shard.
    outputs = [path for path in present if path.name != PLAN]
    if outputs and not resume:
        raise UserError(
            f"{out} is not empty: name another folder, or continue the run in it with --resume"
        )
    plan = _plan(job)
    drafts = [path for path in outputs if DRAFT.fullmatch(path.name) and path.is_file()]
    if len(drafts) < len(outputs):
        _check_plan(out, plan)
    for draft in drafts:
        draft.unlink()
    write_json(out / PLAN, plan)
    if not (out / PROGRESS).exists():
        return Progress()
    return _resumed_progress(out, present, job.inputs)


def _resumed_progress(out: Path, present: Sequence[Path], inputs: Sequence[Path]) -> Progress:
    """Read `PROGRESS`, and check that `present`, the paths in the folder, include all its shards.

    `inputs` give the names of shards. A `UserError` reports that shards or the file are missing.
    """
    progress = _read_progress(out / PROGRESS)
    n_present = sum(_is_complete_shard(path, progress, inputs) for path in present)
    if n_present != progress.shards:
        raise UserError(
            f"{out} cannot be resumed: of {progress.shards} files that were written {n_present} "
            "are there; put the others back, or name another folder"
        )
    return progress


def _read_progress(path: Path) -> Progress:
    values = read_json(path, "the run that is resumed")
    try:
        return Progress(**values)
    except TypeError:
        raise UserError(f"{path} is damaged; name another folder") from None


def _is_complete_shard(path: Path, progress: Progress, inputs: Sequence[Path]) -> bool:
    """Whether a path is a shard of a finished input, by its name, and was not cut to nothing."""
    match = _SHARD.fullmatch(path.name)
    if match is None or (number := int(match[1])) >= progress.input:
        return False
    is_of_run = path.name == _shard_name(number, int(match[2]), inputs[number])
    # Only a shard of JSON lines may be an empty file; other formats have a header.
    return is_of_run and (path.suffix == ".jsonl" or path.stat().st_size > 0)


def _check_plan(out: Path, plan: dict[str, object]) -> None:
    begun = read_json(out / PLAN, "`paratopic predict --out` without --resume")
    titles = {"model": "the model", "inputs": "the inputs", "column": "--text"}
    changed = [f": {titles[key]} changed since" for key in titles if begun.get(key) != plan[key]]
    if begun != plan:
        reason = changed[0] if changed else " by this version of paratopic"
        raise UserError(f"{out} cannot be resumed{reason}; name another folder")


def predict_chunk(job: Job, chunk: Chunk, show: Callable[[int], None]) -> Columns:
    """Predict the rows of a chunk: the columns of `Job.added`, each with a value for every row.

    A row with an error has None in all other columns. `show` gets the number of finished rows of
    the chunk after each `STEP` texts.
    """
    columns: Columns = {name: [None] * len(chunk.texts) for name in job.added}
    columns["error"] = list(chunk.errors)
    started = time.monotonic()
    valid = [row for row, error in enumerate(chunk.errors) if error is None]
    for start in range(0, len(valid), STEP):
        rows = valid[start : start + STEP]
        texts = [chunk.texts[row] or "" for row in rows]
        for name, values in predict_columns(job.model, texts).items():
            for row, value in zip(rows, values, strict=True):
                columns[name][row] = value
        show(rows[-1] + 1)
    windows = sum(filter(None, columns["windows"]))
    log.info("%d rows, %d windows: %.2f s", len(chunk.texts), windows, time.monotonic() - started)
    return columns


def _write(out: Path, number: int, shard: int, job: Job, chunk: Chunk, columns: Columns) -> None:
    """Write a shard of input `number`; skipped parts, if any, go to _skipped-NUMBER-NAME.jsonl."""
    path = job.inputs[number]
    lines = [json.dumps(asdict(part), ensure_ascii=False) + "\n" for part in chunk.skipped]
    if lines:
        write_text(out / f"_skipped-{number:05}-{_short_stem(path)}.jsonl", "".join(lines))
    with atomic_write(out / _shard_name(number, shard, path)) as draft:
        format_of(path).write(draft, chunk.rows, columns, job.added)
        with draft.open("r+b") as file:  # on the disk before the progress counts the shard
            os.fsync(file.fileno())


def _shard_name(number: int, shard: int, path: Path) -> str:
    """Name of a shard of input `number`: "in.csv" → "00000-in-00002.csv"."""
    return f"{number:05}-{_short_stem(path)}-{shard:05}{format_of(path).suffix}"


def _short_stem(path: Path) -> str:
    """Stem of an input, cut so that names of shards fit into 255 bytes."""
    return path.stem.encode()[:200].decode(errors="ignore")


def share_done(sizes: Sequence[int], number: int, part: float = 0.0) -> float:
    """Share of the inputs that is done: all before input `number`, and a part of that one.

    >>> share_done([30, 10], 1, 0.5)
    0.875
    """
    done = sum(sizes[:number]) + part * sum(sizes[number : number + 1])
    return done / max(1, sum(sizes))


def _topics(model: Model) -> str:
    """Name of the column of predicted topics."""
    return f"predicted_topic{model.mode.plural}"
