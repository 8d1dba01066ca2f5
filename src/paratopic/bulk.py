"""Prediction of files of any size: read, answered and written shard by shard, in constant memory.

A shard is a file of at most `SHARD` rows, written aside and renamed: whatever ends the work, what
lies in the folder is whole, and `resume` goes on after it. Every input has shards of its own, in
its own format and order: tables keep all of their columns, articles become JSON lines, one a
paragraph. How text becomes a topic is `classifier`'s matter; on which machine, an `Engine`'s.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from paratopic import articles, documents
from paratopic.classifier import MANIFEST, Model, named
from paratopic.errors import UserError
from paratopic.files import aside, read_json, write_json, write_text

SHARD = 5_000
# Texts that are answered together, and then told to the progress.
STEP = 250
# Files of the folder that are no shards; readers of tables skip what begins with an underscore.
PLAN, PROGRESS = "_plan.json", "_progress.json"

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Chunk:
    """The rows of one shard.

    Parameters
    ----------
    texts
        One a row; None where there is none.
    errors
        What is wrong with each row; None for nothing.
    write
        Writes the rows and the columns that are added to them.
    share
        How much of the input was read when these rows were, 0 to 1.
    skipped
        What of the input is no row, told beside its first shard.
    """

    texts: Sequence[str | None]
    errors: Sequence[str | None]
    write: Callable[[Path, Columns], None]
    share: float
    skipped: Sequence[articles.Skipped] = ()


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
            chunks = _kind(path)[1](path, self.column, self.added)
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


def here(model: Model, work: Work) -> Answer:
    """The engine that answers in this process."""
    return partial(answer, model)


def answer(model: Model, texts: Sequence[str]) -> Columns:
    """The columns that are added to the rows of these texts, but that of the errors."""
    answers = model.predict(texts)
    columns: Columns = {
        _topics(model): [named(model, answer) for answer in answers],
        "confidence": [answer.confidence for answer in answers],
        "windows": [answer.windows for answer in answers],
    }
    scores = {f"score_{t}": [answer.scores[t] for answer in answers] for t in model.classes_}
    return columns | scores


def find(patterns: Sequence[str]) -> list[Path]:
    """The files that paths, folders and globs name, each once.

    A folder stands for its tables and articles, sorted, and those of its folders.

    Raises
    ------
    UserError
        One of them names no file.
    """
    return documents.find(patterns, KINDS)[0]


def predict_files(
    model: Model,
    inputs: Sequence[Path],
    out: Path,
    column: str,
    resume: bool,
    advance: Callable[[int, float], None],
    engine: Engine = here,
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
        "rows_a_shard": SHARD,
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
        with aside(out / f"{number:05}-{path.stem}-{shard:05}{_kind(path)[0]}") as draft:
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


def _wrong(text: object) -> str | None:
    """What is wrong with a text, if anything."""
    if text is None:
        return "no text"
    if not isinstance(text, str):
        return f"the text is {type(text).__name__}, not a string"
    return None


def _check(path: Path, names: Sequence[str], column: str, added: Sequence[str]) -> None:
    if column not in names:
        told = ", ".join(names) or "none"
        raise UserError(f"{path} has no column {column} (it has: {told}); name one with --text")
    _refuse_taken(path, names, added)


def _refuse_taken(path: Path, names: Sequence[str], added: Sequence[str]) -> None:
    for name in names:
        if name in added:
            raise UserError(f"{path} has a column {name}, which would be added; rename it")
    twice = {name for name in names if list(names).count(name) > 1}
    if twice:
        raise UserError(f"{path} has two columns {min(twice)}; rename one")


def _parquet(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Rows of a parquet file; columns keep their types."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UserError(f"{path}: parquet needs pyarrow: pip install pyarrow") from None
    try:
        # Without buffers that are filled ahead: they are kept until the file is closed.
        file = pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}") from None
    schema = file.schema_arrow
    _check(path, schema.names, column, added)
    kinds = {added[0]: pa.string(), "windows": pa.int64(), "error": pa.string()}

    def writer(rows: pa.Table) -> Callable[[Path, Columns], None]:
        def write(draft: Path, answered: Columns) -> None:
            table = rows
            for name, values in answered.items():
                table = table.append_column(name, pa.array(values, kinds.get(name, pa.float64())))
            pq.write_table(table, draft)

        return write

    read, total = 0, file.metadata.num_rows
    batches = file.iter_batches(SHARD) if total else iter([schema.empty_table()])
    for batch in batches:
        rows = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch], schema)
        texts = rows[column].to_pylist()
        read += len(texts)
        errors = [_wrong(text) for text in texts]
        yield Chunk(texts, errors, writer(rows), read / max(1, total))


def _csv(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Rows of a CSV file with a header; cells stay as they are written."""
    size = max(1, path.stat().st_size)
    csv.field_size_limit(sys.maxsize)
    # What is no UTF-8 is let through as surrogates, so that one bad row does not end the work.
    decoding: Any = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    with path.open("rb") as raw, io.TextIOWrapper(raw, **decoding) as file:
        reader = csv.reader(file)
        header = next(reader, [])
        _check(path, header, column, added)
        place = header.index(column)

        def chunk(rows: list[list[str]]) -> Chunk:
            texts, errors = [], []
            for number, row in enumerate(rows):
                error = _undecodable(row)
                if len(row) != len(header):
                    error = f"{len(row)} cells under {len(header)} columns: {json.dumps(row)}"
                    rows[number] = (row + [""] * len(header))[: len(header)]
                texts.append(None if error else row[place])
                errors.append(error)

            def write(draft: Path, answered: Columns) -> None:
                with draft.open("w", encoding="utf-8", errors="replace", newline="") as out:
                    table = csv.writer(out, lineterminator="\n")
                    table.writerow([*header, *answered])
                    more = zip(*answered.values(), strict=True)
                    table.writerows([*row, *new] for row, new in zip(rows, more, strict=True))

            return Chunk(texts, errors, write, raw.tell() / size)

        filled = (row for row in reader if row)  # an empty line is no row
        rows = list(islice(filled, SHARD))
        while True:
            yield chunk(rows)
            rows = list(islice(filled, SHARD))
            if not rows:
                return


def _undecodable(cells: Sequence[str]) -> str | None:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return None


def _jsonl(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Objects of a file of JSON lines; a line that is none is kept under ``line``."""
    size = max(1, path.stat().st_size)
    with path.open("rb") as file:

        def read(number: int, line: bytes) -> tuple[dict[str, Any], str | None]:
            try:
                row = json.loads(line)
            except ValueError as error:  # bytes that are no UTF-8 too
                return {"line": line.decode(errors="replace")}, f"line {number}: no JSON ({error})"
            if not isinstance(row, dict):
                return {"line": row}, f"line {number}: no JSON object"
            _refuse_taken(path, list(row), added)
            return row, _wrong(row.get(column))

        filled = ((n, line) for n, line in enumerate(file, start=1) if line.strip())
        lines = list(islice(filled, SHARD))
        while True:
            both = [read(number, line.rstrip(b"\r\n")) for number, line in lines]
            rows = [row for row, _ in both]
            texts = [None if error else row[column] for row, error in both]
            yield Chunk(texts, [error for _, error in both], _json_lines(rows), file.tell() / size)
            lines = list(islice(filled, SHARD))
            if not lines:
                return


def _article(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Paragraphs of an article; one that cannot be read is a row with an error."""
    try:
        article = documents.read(path)
        rows = [asdict(part) for part in articles.split(article)]
    except UserError as error:
        row = {"article": path.stem, "text": None}
        yield Chunk([None], [str(error)], _json_lines([row]), 1.0)
        return
    skipped = articles.skipped(article)
    for start in range(0, max(1, len(rows)), SHARD):
        part = rows[start : start + SHARD]
        texts = [row["text"] for row in part]
        yield Chunk(texts, [None] * len(part), _json_lines(part), 1.0, skipped)
        skipped = []


def _json_lines(rows: Sequence[dict[str, Any]]) -> Callable[[Path, Columns], None]:
    def write(draft: Path, answered: Columns) -> None:
        with draft.open("w", encoding="utf-8", newline="\n") as out:
            for row, new in zip(rows, zip(*answered.values(), strict=True), strict=True):
                line = row | dict(zip(answered, new, strict=True))
                out.write(json.dumps(line, ensure_ascii=False) + "\n")

    return write


Reader = Callable[[Path, str, Sequence[str]], Iterator[Chunk]]
ARTICLE: tuple[str, Reader] = (".jsonl", _article)
# Suffix of an input → that of its shards, and what reads it.
KINDS: dict[str, tuple[str, Reader]] = {
    ".csv": (".csv", _csv),
    ".jsonl": (".jsonl", _jsonl),
    ".parquet": (".parquet", _parquet),
    **dict.fromkeys(documents.SUFFIXES, ARTICLE),
}


def _kind(path: Path) -> tuple[str, Reader]:
    return KINDS.get(path.suffix.lower(), ARTICLE)
