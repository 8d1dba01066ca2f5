"""The notebook runs from its first to its last cell, and the example server answers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.programs import ROOT
from tests.samples import TARIFF

EXAMPLES = ROOT / "examples"


def test_every_cell_of_the_notebook_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "reports")  # a folder below the root will do
    notebook = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec("".join(cell["source"]), names)
    assert len(names["answers"]) == 3 and len(names["predictions"]) > 0
    assert "macro_f1" in names["metrics"].figures
    assert len(names["mistakes"]) == names["metrics"].mistakes


@pytest.fixture
def server(baseline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("PARATOPIC_MODEL", str(baseline_folder))
    spec = importlib.util.spec_from_file_location("app", EXAMPLES / "serving" / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_a_server_answers_and_refuses(server: ModuleType) -> None:
    client = TestClient(server.app)
    first, second = client.post("/predict", json={"texts": [TARIFF, ""]}).json()
    assert first["topic"] == "trade" and second["topic"] is None
    assert client.get("/health").json()["kind"] == "baseline"
    for body in (b"", b"[", b"[]", b"{}", b'{"texts": "a"}', b'{"texts": [1]}', b"[" * 100_000):
        assert client.post("/predict", content=body).status_code in (400, 422)
    assert client.post("/predict", json={"texts": [""] * 1001}).status_code == 422
    assert client.post("/predict", json={"texts": ["x" * 100_001]}).status_code == 413
    for content in (b" " * 10_000_001, iter([b"of unknown length"])):
        assert client.post("/predict", content=content).status_code == 413
    described = client.get("/openapi.json").json()["paths"]
    assert set(described) == {"/predict", "/health"}
