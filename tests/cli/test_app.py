"""The program itself: its version."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.programs import run_cli


def test_it_prints_its_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"paratopic {version('paratopic')}\n"
