"""Progress without a terminal: a line per step at most, and none with --quiet."""

from __future__ import annotations

import logging

import pytest

from paratopic.project import progress


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    log = logging.getLogger("paratopic")
    monkeypatch.setattr(log, "level", logging.WARNING)
    return log


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with progress.bar("baseline: fit", 3) as advance:
        for done in (0.5, 1.0, 1.5, 1.9, 2, 3):
            advance(done)
    return capsys.readouterr().err.splitlines()


def test_each_step_is_a_line_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: logging.Logger
) -> None:
    assert lines(capsys) == []  # because it was quick
    monkeypatch.setattr(progress, "APART", 0)
    assert lines(capsys) == ["baseline: fit 1 of 3", "baseline: fit 2 of 3"]
    log.setLevel(logging.ERROR)
    assert lines(capsys) == []
