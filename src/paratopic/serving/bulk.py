"""Prediction of files of any size: read, answered and written shard by shard, in constant memory.

A shard is a file of at most `SHARD` rows, written aside and renamed: whatever ends the work, what
lies in the folder is whole, and `resume` goes on after it. Every input has shards of its own, in
its own format and order: tables keep all of their columns, articles become JSON lines, one a
paragraph. How text becomes a topic is `classifier`'s matter; on which machine, an `Engine`'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from paratopic.inference.folder import MANIFEST
from paratopic.inference.model import Model, topic_cell
from paratopic.project.errors import UserError
from paratopic.project.files import aside, read_json, write_json, write_text
from paratopic.reading.files import find_files
from paratopic.serving import shards
from paratopic.serving.shards import KINDS, Chunk, Columns, kind_of

# Texts that are answered together, and then told to the progress.
STEP = 250

# Files of the folder that are no shards; readers of tables skip what begins with an underscore.
PLAN, PROGRESS = "_plan.json", "_progress.json"


@dataclass(frozen=True)
class Done:
    """How far the work is: next input, next shard of it, rows written, and rows with an error."""

    input: int = 0
    shard: int = 0
    rows: int = 0
    errors: int = 0


@dataclass(frozen=True)
class Work:
    """What is left of the inputs; a process that reads the same files meets the same texts.

    Parameters
    ----------
    inputs
        Tables and articles.
    column
        Of a table that holds its texts.
    added
        Names of the columns that are added to a row.
    done
        Where the work begins.
    """

    inputs: Sequence[Path]
    column: str
    added: Sequence[str]
    done: Done

    def chunks(self) -> Iterator[tuple[int, int, Chunk]]:
        """Number of the input, of the shard, and its rows."""
        first = self.done.shard
        for number in range(self.done.input, len(self.inputs)):
            path = self.inputs[number]
            chunks = kind_of(path)[1](path, self.column, self.added)
            for shard, chunk in islice(enumerate(chunks), first, None):
                yield number, shard, chunk
            first = 0

    def texts(self) -> Iterator[list[str]]:
        """The texts of each step."""
        for _, _, chunk in self.chunks():
            for rows in _steps(chunk):
                yield _texts(chunk, rows)


# Called with the texts of one step after the other: the columns that are added to their rows.
Answer = Callable[[Sequence[str]], Columns]


class Engine(Protocol):
    """Where answers come from."""

    def __call__(self, model: Model, work: Work) -> Answer:
        """Make ready for all of the work's texts, in their order."""
        ...


def local(model: Model, work: Work) -> Answer:
    """The engine that answers in this process."""
    return partial(answer, model)


def answer(model: Model, texts: Sequence[str]) -> Columns:
    """The columns that are added to the rows of these texts, but that of the errors."""
    answers = model.predict(texts)
    columns: Columns = {
        _topics(model): [topic_cell(model, answer) for answer in answers],
        "confidence": [answer.confidence for answer in answers],
        "windows": [answer.windows for answer in answers],
    }
    scores = {f"score_{t}": [answer.scores[t] for answer in answers] for t in model.classes_}
    return columns | scores


def find_inputs(patterns: Sequence[str]) -> list[Path]:
    """The files that paths, folders and globs name, each once.

    A folder stands for its tables and articles, sorted, and those of its folders.

    Raises
    ------
    UserError
        One of them names no file.
    """
    return find_files(patterns, KINDS)[0]


def predict_files(
    model: Model,
    inputs: Sequence[Path],
    out: Path,
    column: str,
    resume: bool,
    advance: Callable[[int, float], None],
    engine: Engine = local,
) -> Done:
    """Predict the rows of tables and the paragraphs of articles.

    Parameters
    ----------
    model
        Answers for every row that has a text.
    inputs
        Tables (.csv, .jsonl, .parquet); every other file is an article.
    out
        Folder of the shards, ``NUMBER-NAME-SHARD`` with the input's suffix. Added to each row:
        predicted_topic (in mode multi predicted_topics, separated by ";"), confidence, windows,
        error, and a score a topic, ``score_TOPIC``.
    column
        Of a table that holds its texts.
    resume
        Go on in a folder where the same work was broken off.
    advance
        Told how many rows were answered, and the share of all inputs that is done.
    engine
        Answers for the texts; what is written does not depend on which one does.

    Raises
    ------
    UserError
        The folder is not empty, or holds other work; an input cannot be read, lacks the column, or
        has one that would be added.
    """
    plan = {
        "model": hashlib.sha256((model.folder / MANIFEST).read_bytes()).hexdigest(),
        "column": column,
        "rows_a_shard": shards.SHARD,
        "inputs": [
            {"path": str(path), "size": path.stat().st_size, "modified": path.stat().st_mtime_ns}
            for path in inputs
        ],
    }
    done = _begin(out, plan, resume)
    work = Work(inputs, column, added_columns(model), done)
    sizes = [path.stat().st_size for path in inputs]
    total, share = max(1, sum(sizes)), sum(sizes[: done.input]) / max(1, sum(sizes))
    advance(done.rows, share)
    answered = engine(model, work)
    for number, shard, chunk in work.chunks():
        path = inputs[number]
        if chunk.skipped:
            told = [json.dumps(asdict(s), ensure_ascii=False) + "\n" for s in chunk.skipped]
            write_text(out / f"_skipped-{number:05}-{path.stem}.jsonl", "".join(told))
        columns = _answers(answered, chunk, work.added, partial(_ahead, advance, done.rows, share))
        with aside(out / f"{number:05}-{path.stem}-{shard:05}{kind_of(path)[0]}") as draft:
            chunk.write(draft, columns)
        wrong = sum(error is not None for error in columns["error"])
        done = Done(number, shard + 1, done.rows + len(chunk.texts), done.errors + wrong)
        write_json(out / PROGRESS, asdict(done))
        share = (sum(sizes[:number]) + chunk.share * sizes[number]) / total
        advance(done.rows, share)
    done = Done(len(inputs), 0, done.rows, done.errors)
    write_json(out / PROGRESS, asdict(done))
    return done


def _ahead(advance: Callable[[int, float], None], rows: int, share: float, more: int) -> None:
    advance(rows + more, share)


def _begin(out: Path, plan: dict[str, Any], resume: bool) -> Done:
    """Make the folder, or find out how far the work in it is."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder")
    # A plan alone is of work that had not begun.
    there = out.is_dir() and any(path.name != PLAN for path in out.iterdir())
    if there and not resume:
        raise UserError(
            f"{out} is not empty: name another folder, or go on with what was begun (--resume)"
        )
    if not there:
        write_json(out / PLAN, plan)
        return Done()
    begun = read_json(out / PLAN, "`paratopic predict --out` without --resume")
    for key, what in (("model", "the model"), ("inputs", "the inputs"), ("column", "--text")):
        if begun.get(key) != plan[key]:
            raise UserError(f"{out} cannot be resumed: {what} changed since; name another folder")
    if begun != plan:
        raise UserError(
            f"{out} cannot be resumed by this version of paratopic; name another folder"
        )
    for draft in out.glob(".*"):  # what was being written when the work was broken off
        draft.unlink()
    if not (out / PROGRESS).exists():
        return Done()
    return Done(**read_json(out / PROGRESS, "the work that is resumed"))


def _answers(
    answered: Answer, chunk: Chunk, names: Sequence[str], advance: Callable[[int], None]
) -> Columns:
    """The columns that are added to a chunk's rows; in rows with an error, that alone."""
    added: Columns = {name: [None] * len(chunk.texts) for name in names}
    added["error"] = list(chunk.errors)
    for rows in _steps(chunk):
        for name, values in answered(_texts(chunk, rows)).items():
            for row, value in zip(rows, values, strict=True):
                added[name][row] = value
        advance(rows[-1] + 1)
    return added


def _steps(chunk: Chunk) -> Iterator[list[int]]:
    """The rows that are answered together: those without an error."""
    good = [row for row, error in enumerate(chunk.errors) if error is None]
    for start in range(0, len(good), STEP):
        yield good[start : start + STEP]


def _texts(chunk: Chunk, rows: Sequence[int]) -> list[str]:
    return [str(chunk.texts[row]) for row in rows]


def added_columns(model: Model) -> list[str]:
    """Names of the columns that are added to a row."""
    scores = [f"score_{topic}" for topic in model.classes_]
    return [_topics(model), "confidence", "windows", *scores, "error"]


def _topics(model: Model) -> str:
    return "predicted_topic" if model.mode == "single" else "predicted_topics"
