"""Damaged files of a project, and errors of the system: a message each, with what to do."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path

import mlflow
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paratopic.corpus.table import read_paragraphs, read_parquet
from paratopic.inference.registry import fetch
from paratopic.project import errors
from paratopic.project.errors import UserError
from paratopic.project.files import aside
from paratopic.project.topics import Topics
from tests.programs import python
from tests.samples import read_joined


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 40])
def test_a_missing_or_damaged_table_of_a_stage_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "of_a_stage.parquet"
    for read in (read_paragraphs, read_parquet):
        with pytest.raises(UserError, match=r"of_a_stage\.parquet not found: run `dvc repro"):
            read(path)
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"of_a_stage\.parquet is damaged .*run `dvc repro`"):
            read(path)
        path.unlink()


def test_a_damaged_store_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    elsewhere = tmp_path / "below"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(UserError, match=r"(?s)cannot be loaded from MLflow at .*mlflow.db"):
        fetch("models:/paratopic@champion", tmp_path)
    # Nothing was made in the current directory, and what MLflow asks is as it was.
    assert list(elsewhere.iterdir()) == [] and not mlflow.is_tracking_uri_set()


def test_errors_of_the_system_are_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for refused in (tmp_path / "gone" / "file", tmp_path):

        def write(path: Path = refused) -> None:
            path.write_text("x")

        with pytest.raises(SystemExit) as ended:
            errors.run(write)
        assert str(ended.value).startswith(f"paratopic: {refused}: ")
    full = OSError(errno.EFBIG, "File too large")  # of a file that it does not name
    with pytest.raises(SystemExit, match="paratopic: File too large"):
        errors.run(lambda: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match="of a program"):
        errors.run(lambda: (_ for _ in ()).throw(OSError("of a program")))


def test_what_a_killed_process_left_is_removed_later(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from paratopic.project.files import aside\n"
        "with aside(Path(sys.argv[1])) as draft:\n"
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
    with aside(tmp_path / "file") as draft:
        draft.write_text("x")
    assert {path.name for path in tmp_path.iterdir()} == {young.name, backup.name, "file"}


@pytest.mark.parametrize("about", ["[]", "null", '{"info": []}', "5", "[" * 5000])
def test_columns_and_metadata_that_are_not_read_may_be_anything(about: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    late = pa.array([2**61], pa.timestamp("us"))
    table = pa.table({"text": ["A tariff."], "label": ["trade"], "when": late})
    pq.write_table(table.replace_schema_metadata({"huggingface": about}), path)
    frame, _ = read_joined(path, Topics("single", ("trade", "security")), ())
    assert frame["label"].tolist() == [["trade"]]
    pq.write_table(pa.Table.from_pandas(pd.DataFrame({"when": [datetime(2025, 1, 1)]})), path)
    with pytest.raises(UserError, match='no column "text".*has when'):
        read_joined(path, Topics("single", ("trade", "security")), ())
