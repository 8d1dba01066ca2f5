"""Files of results, and which of them are older than the code."""

from __future__ import annotations

import importlib
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.programs import ROOT


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("record")


@pytest.fixture
def scripts(record: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    (tmp_path / "measure.py").write_text("import beside\nfrom paratopic.project import errors\n")
    (tmp_path / "beside.py").write_text("x = 1\n")
    return tmp_path


def save(record: ModuleType, folder: Path, *rows: dict[str, Any]) -> Path:
    path, key = folder / "measure.csv", ["data", "labels", "method"]
    record.save(path, rows, key, str(folder / "measure.py"))
    return path


def test_rows_are_added_or_replaced_by_their_key(record: ModuleType, scripts: Path) -> None:
    first = {"data": "2024", "labels": 300, "method": "tuned", "f1": 0.5, "sure": None}
    second = first | {"labels": 40, "f1": 2 / 3, "definitions": True}
    path = save(record, scripts, first, second)
    save(record, scripts, first | {"f1": 1.0}, second | {"method": "frozen"})
    header, *lines = path.read_text().splitlines()
    assert header == "data,labels,method,f1,sure,definitions,made"
    assert [line.rpartition(",")[0] for line in lines] == [
        "2024,40,tuned,0.666667,,True",
        "2024,40,frozen,0.666667,,True",
        "2024,300,tuned,1,,",
    ]
    options = Namespace(results=path, again=False)
    assert record.done(options, ["data", "labels"]) == {("2024", 40), ("2024", 300)}
    assert record.done(Namespace(results=path, again=True), ["data"]) == set()
    assert record.saved(path)[0]["definitions"] is True and record.saved(path)[2]["sure"] is None


def test_a_result_is_older_once_its_code_has_changed(record: ModuleType, scripts: Path) -> None:
    path = save(record, scripts, *({"data": data, "labels": 4, "method": "a"} for data in "xy"))
    assert record.older(path) == []
    for content, older in (("# one\nx = 1\n", []), ("x = 2\n", ["x", "y"])):
        (scripts / "beside.py").write_text(content)
        record.code_digest.cache_clear()
        assert record.older(path) == older
        have = record.done(Namespace(results=path, again=False), ["data"])
        assert have == ({("x",), ("y",)} if not older else set())
    save(record, scripts, {"data": "x", "labels": 4, "method": "a"})
    assert record.older(path) == ["y"]
    save(record, scripts, {"data": "x", "labels": 4, "method": "b"})
    (scripts / "beside.py").write_text("x = 3\n")
    record.code_digest.cache_clear()
    # One old run among others makes it old.
    save(record, scripts, {"data": "x", "labels": 4, "method": "b"})
    assert record.older(path) == ["x", "y"]
