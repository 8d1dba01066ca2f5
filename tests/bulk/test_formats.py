"""No content of an input ends a run: a damaged row or file gives an error."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from paratopic.bulk.formats import Chunk, Columns, format_of
from paratopic.project.errors import UserError

quick = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # with lone surrogates
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(ANY_TEXT, inner, max_size=2),
    max_leaves=4,
)
ROWS = st.fixed_dictionaries({"text": VALUES}, optional={"n": VALUES, "\ud800": VALUES})
LINES = (
    (ROWS | VALUES).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=12)
    | st.integers(0, 2000).map(lambda depth: b'{"text":' + b"[" * depth + b"]" * depth + b"}")
)


def rewrite(path: Path, out: Path) -> list[Chunk]:
    """Read an input, and write each of its chunks with its errors to a file."""
    file_format = format_of(path)
    chunks = list(file_format.read(path, "text", ["error"]))
    for number, chunk in enumerate(chunks):
        errors = list(chunk.errors)
        assert len(chunk.texts) == len(errors)
        for text, error in zip(chunk.texts, errors, strict=True):
            assert error or isinstance(text, str)
        columns: Columns = {"error": errors}
        file_format.write(
            out / f"{number}{file_format.suffix}", chunk.rows, columns, {"error": str}
        )
    return chunks


@quick
@given(lines=st.lists(LINES, max_size=5))
@example(lines=[b"[" * 100_000, b'{"text": "\xed\xa0\xbd"}', b"{}", b'{"n": ' + b"9" * 5000 + b"}"])
def test_json_lines_of_any_bytes(tmp_path: Path, lines: list[bytes]) -> None:
    content = b"\n".join(lines)
    (tmp_path / "in.jsonl").write_bytes(content)
    (chunk,) = rewrite(tmp_path / "in.jsonl", tmp_path)
    written = [json.loads(line) for line in (tmp_path / "0.jsonl").open(encoding="utf-8")]
    assert [row["error"] for row in written] == list(chunk.errors)
    assert len(written) == sum(line.strip() != b"" for line in content.split(b"\n"))
    for row, text, error in zip(written, chunk.texts, chunk.errors, strict=True):
        assert error or row["text"] == text


@quick
@given(content=st.binary(max_size=80) | st.text("=+-@\t\r\n\",'é1a", max_size=40).map(str.encode))
@example(content=b'1,"a\rb"\n"\r=1","\r\n=1"\n')
def test_csv_of_any_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.csv").write_bytes(b"n,text\n" + content)
    try:
        (chunk,) = rewrite(tmp_path / "in.csv", tmp_path)
    except UserError as error:  # the quotes do not match
        assert "in.csv: " in str(error) and b'"' in content
        return
    with (tmp_path / "0.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["n", "text", "error"]
    assert [row[2] for row in rows] == [error or "" for error in chunk.errors]
    for row, text in zip(rows, chunk.texts, strict=True):
        assert not row[1].lstrip(" \n").startswith(("=", "@", "\t", "\r"))
        assert text is None or row[1] in (text, f"'{text}")


def test_a_quote_that_is_never_closed_hides_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('id,text\n1,One.\n2,"Enough is enough, he said.\n3,Three.\n4,Four.\n')
    with pytest.raises(UserError, match=r"in.csv: .*line 5"):
        format_of(path).check(path, "text", ["error"])


def test_json_keeps_numbers_as_written(tmp_path: Path) -> None:
    lines = ['{"text": "a", "p":1.10, "n": 123456789012345678901.5, "x": 1e999}', "{ }"]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    rewrite(tmp_path / "in.jsonl", tmp_path)
    first, second = (tmp_path / "0.jsonl").read_text().splitlines()
    assert first == f'{lines[0][:-1]}, "error": null}}' and json.loads(second)["error"]


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("table") / "in.parquet"
    texts = [f"The tariff, number {number}, né." for number in range(60)]
    kinds = pa.array(["x", None, "z"] * 20).dictionary_encode()
    table = pa.table({"text": texts, "n": range(60), "kind": kinds, "tags": [["a"], None] * 30})
    pq.write_table(table, path, row_group_size=20)
    return path.read_bytes()


@quick
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))))
def test_parquet_with_damaged_bytes(
    tmp_path: Path, parquet: bytes, changes: list[tuple[float, int]]
) -> None:
    content = bytearray(parquet)
    for place, value in changes:
        content[int(place * len(content))] = value
    (tmp_path / "in.parquet").write_bytes(content)
    try:
        chunks = rewrite(tmp_path / "in.parquet", tmp_path)
    except UserError as error:  # the name of the column may be damaged, too
        message = str(error)
        assert "in.parquet has no column text" in message or "not a whole parquet" in message
        return
    for number, chunk in enumerate(chunks):
        written = pq.ParquetFile(tmp_path / f"{number}.parquet").read(["error"])
        assert written["error"].to_pylist() == list(chunk.errors)
