"""Files are written completely or not at all, and errors name unreadable files."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paratopic.project import errors
from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.project.files import (
    RESULT_FOLDERS,
    atomic_write,
    read_csv,
    read_json,
    write_csv,
    write_json,
    write_text,
)
from paratopic.project.reports import Times
from tests.programs import largest_file, python


def test_a_failed_write_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as draft:
        draft.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_replaces_one_that_is_not_empty(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "stale").touch()
    with atomic_write(folder) as draft:
        draft.mkdir()
        (draft / "fresh").touch()
    assert [p.name for p in folder.iterdir()] == ["fresh"]


TABLE = pd.DataFrame({"a": range(10_000)})


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x" * 1_000),
        lambda path: write_csv(path, TABLE),
        lambda path: write_draft(path, lambda draft: TABLE.to_parquet(draft)),
        lambda path: write_draft(path, lambda draft: pq.write_table(pa.table(TABLE), draft)),
        lambda path: write_draft(path, lambda draft: write_draft(draft, refuse)),
        lambda path: write_draft(path, lambda draft: shutil.copyfile(__file__, draft)),
    ],
)
def test_an_unwritable_file_is_named(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with largest_file(100), pytest.raises(OSError) as error:
        write(path)
    assert error.value.filename == str(path) and str(error.value.errno) in str(error.value)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def write_draft(path: Path, write: Callable[[Path], object]) -> None:
    with atomic_write(path) as draft:
        write(draft)


def refuse(path: Path) -> None:
    raise PermissionError(errno.EACCES, f"Failed to open {path}")


def test_an_error_of_another_kind_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="no network"), atomic_write(tmp_path / "file"):
        raise ConnectionError("no network")


def test_json_rounds_floats_at_any_depth(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": [1 / 3], "b": {"c": None, "d": (2, 2 / 3)}})
    assert read_json(path, "x") == {"a": [0.333333], "b": {"c": None, "d": [2, 0.666667]}}
    write_json(path, {"a": [1 / 3]}, digits=10)
    assert read_json(path, "x") == {"a": [0.3333333333]}


@pytest.mark.parametrize(
    ("read", "content"),
    [
        *((read_json, content) for content in (None, b"{", b"[]")),
        *((Times.load, content) for content in (None, b"{", b"[]", b"\xff", b'{"fit": {}}')),
        *((read_csv, content) for content in (None, b"", b"a\n\xff\n", b'a\n"b')),
        (read_csv, b"a,b\n1,2,3\n4,5,6,7\n"),
    ],
)
def test_a_damaged_or_missing_file_is_reported_with_what_writes_it(
    tmp_path: Path, read: Callable[[Path, str], object], content: bytes | None
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    message = "file not found: " if content is None else "(?s)file is damaged.*"
    with pytest.raises(UserError, match=f"{message}stage x writes it"):
        read(path, "stage x")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_text_is_read_with_every_line_break_and_tab(encoding: str) -> None:
    text = "a\tb\nc\rd\r\ne\x0bf\x0cg\x85h\u2028i\u2029j\u00a0k"
    for marked in (text, f"\ufeff{text}") if encoding == "utf-8" else [f"\ufeff{text}"]:
        assert decode(marked.encode(encoding), "x") == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("今天的天气很好,明天会下雨。贸易谈判在马德里举行。", "gbk"),
        ("Die Zölle für Güter stiegen; München und Köln trafen Maßnahmen. ÜBER", "mac_roman"),
    ],
)
def test_text_that_is_not_utf_8_is_read_with_a_note(
    text: str, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert decode(text.encode(encoding), "x.csv") == text
    assert "x.csv: is not UTF-8, and is read as" in caplog.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.txt: holds no text."),
        (b" \r\n\t", "x.txt: holds no text."),
        ("\ufeff\u00a0\u200b".encode(), "x.txt: holds no text."),
        (b"f\xf8z\x05lrz", "x.txt: is not UTF-8 at byte 1 (0xf8)"),
        ("Café ".encode() + b"\xe9 x", "x.txt: is not valid UTF-8 at byte 6."),
        (b"\xef\xbb\xbfcaf\xe9", "x.txt: is not valid UTF-8 at byte 6."),
        (b"\xff\xfea\x00b", "x.txt: is not valid UTF-16-LE at byte 4."),
        (b"PK\x03\x04", "x.txt: is not plain text: control character U+0003 in line 1."),
        ("é\n\0".encode(), "x.txt: is not plain text: control character U+0000 in line 2."),
        (b"\xef\xbb\xbfa\x1b", "control character U+001B in line 1."),
        (b"\xfe\xff\x00a\x00\x07", "control character U+0007 in line 1."),
        ("ab".encode("utf-16-le"), "control character U+0000 in line 1."),
    ],
)
def test_bytes_that_are_not_text_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        decode(data, "x.txt")


def test_no_cell_of_a_table_that_is_written_runs_as_a_formula(tmp_path: Path) -> None:
    table = pd.DataFrame({"=A1": ["=1+1", "'=1", "+cmd|'/C calc'!A0", "ok"], "n": [-1, 2, 3, 4]})
    write_csv(tmp_path / "t.csv", table)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "'=A1,n"
    assert lines[1:4] == ["'=1+1,-1", "''=1,2", "'+cmd|'/C calc'!A0,3"]
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv", "this test"), table)


@pytest.mark.parametrize("name", RESULT_FOLDERS)
def test_results_are_not_written_where_a_link_leads_outside(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    elsewhere, folder = tmp_path_factory.mktemp("elsewhere"), tmp_path / name
    (tmp_path / "params.yaml").touch()  # a project
    folder.symlink_to(elsewhere)
    for path in (folder / "table.csv", folder / "baseline" / "table.csv"):
        with pytest.raises(UserError, match=rf"{path.parent}: .* outside of the project"):
            write_text(path, "a\n")
    assert not list(elsewhere.iterdir())
    write_text(elsewhere / "table.csv", "a\n")  # the user has named this path
    folder.unlink()
    folder.symlink_to(tmp_path)
    write_text(folder / "table.csv", "a\n")


def test_a_link_in_place_of_a_draft_is_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    for target in (other, tmp_path):
        (tmp_path / f".file.{os.getpid()}.draft").symlink_to(target)
        write_text(path, "a\n")
        assert path.read_text() == "a\n" and not path.is_symlink() and not other.exists()


def test_errors_of_the_system_are_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for refused in (tmp_path / "gone" / "file", tmp_path):

        def write(path: Path = refused) -> None:
            path.write_text("x")

        with pytest.raises(SystemExit) as ended:
            errors.run(write)
        assert str(ended.value).startswith(f"paratopic: {refused}: ")
    full = OSError(errno.EFBIG, "File too large")  # the error names no file
    with pytest.raises(SystemExit, match="paratopic: File too large"):
        errors.run(lambda: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match="of a program"):
        errors.run(lambda: (_ for _ in ()).throw(OSError("of a program")))


def test_drafts_of_a_killed_process_are_removed_later(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from paratopic.project.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as draft:\n"
        "    draft.mkdir(); (draft / 'half').write_text('x'); os._exit(9)"
    )
    python(code, str(tmp_path / "model"))
    (old,) = tmp_path.iterdir()
    assert old.name.startswith(".model.") and old.name.endswith(".draft")
    os.utime(old, (0, 0))
    young, backup = tmp_path / ".other.1.draft", tmp_path / ".labels.csv.20250915"
    young.write_text("of a process that may run")
    backup.write_text("of a person")
    os.utime(backup, (0, 0))
    with atomic_write(tmp_path / "file") as draft:
        draft.write_text("x")
    assert {path.name for path in tmp_path.iterdir()} == {young.name, backup.name, "file"}
