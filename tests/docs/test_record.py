"""Results of benchmarks that are older than the code."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.programs import ROOT


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("record")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    (tmp_path / "measure.py").write_text("import beside\nfrom paratopic.project import errors\n")
    (tmp_path / "beside.py").write_text("x = 1\n")
    return tmp_path


def result(folder: Path, lines: object) -> Path:
    path = folder / "result.json"
    path.write_text(json.dumps(lines))
    return path


def test_a_result_is_older_once_its_code_has_changed(record: ModuleType, scripts: Path) -> None:
    made = {"script": "measure.py", "code": record.code_digest(scripts / "measure.py")}
    assert not record.older(result(scripts, {"runs": [made, made]}), scripts)
    # One old run among others makes it old.
    assert record.older(result(scripts, {"runs": [made, {"seed": 1}]}), scripts)
    assert record.older(result(scripts, {"runs": [{"seed": 1}]}), scripts)
    path = result(scripts, made | {"runs": []})
    for content, is_older in (("# one\nx = 1\n", False), ("x = 2\n", True)):
        (scripts / "beside.py").write_text(content)
        record.code_digest.cache_clear()
        assert record.older(path, scripts) == is_older


def test_the_page_names_older_results_once(record: ModuleType) -> None:
    page = f"before\n{record.START}old line\n{record.END}after\n"
    marked = record.mark(page, [Path("results/a.json"), Path("results/b.json")])
    links = "- [a](results/a.json)\n- [b](results/b.json)\n"
    assert marked.count(links) == 1 and "old line" not in marked
    assert marked.startswith("before\n") and marked.endswith("after\n")
    assert record.mark(marked, []) == f"before\n{record.START}{record.END}after\n"
