"""The example server answers; stages/test_report.py runs the notebook."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.programs import ROOT
from tests.samples import TARIFF


def test_the_example_of_a_server_answers_and_refuses(
    baseline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARATOPIC_MODEL", str(baseline_folder))
    client = TestClient(runpy.run_path(str(ROOT / "examples/serving/app.py"))["app"])
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
