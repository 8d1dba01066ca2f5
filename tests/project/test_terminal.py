"""Progress: a few lines in a log, and nothing with --quiet."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator

import pytest

from paratopic.project.terminal import progress_bar

Lines = Callable[[int, float, int], list[str]]


@pytest.fixture(autouse=True)
def log() -> Iterator[logging.Logger]:
    log = logging.getLogger("paratopic")
    level = log.level
    log.setLevel(logging.WARNING)
    yield log
    log.setLevel(level)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    yield now


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], seconds: list[float]) -> Lines:
    """A function that returns the lines for some steps, of some duration, in equal parts."""

    def printed_lines(total: int, duration: float, parts: int) -> list[str]:
        seconds[0] = 0.0
        with progress_bar("baseline: fit", total) as advance:
            for part in range(1, parts + 1):
                seconds[0] = duration * part / parts
                advance(total * part / parts)
        return capsys.readouterr().err.splitlines()

    return printed_lines


def test_each_fold_is_a_line_in_a_log(lines: Lines, log: logging.Logger) -> None:
    assert lines(15, 5.0, 600) == []  # because it was quick
    fold_lines = lines(15, 300.0, 9_000)
    expected = [f"baseline: fit {n} of 15" for n in range(15)]
    assert [re.sub(",.*", "", line) for line in fold_lines] == expected
    assert fold_lines[0] == "baseline: fit 0 of 15, about 5 min left"
    assert fold_lines[3] == "baseline: fit 3 of 15, about 4 min left"
    assert fold_lines[-1] == "baseline: fit 14 of 15, about 20 s left"
    assert len(lines(15, 50.0, 9_000)) == 4  # ten seconds apart
    log.setLevel(logging.ERROR)
    assert lines(15, 300.0, 9_000) == []


@pytest.mark.parametrize("total", [1, 70_000])
def test_many_steps_and_one_are_a_line_a_tenth(lines: Lines, total: int) -> None:
    tenths = lines(total, 6_000.0, 5_000)
    assert len(tenths) == 10  # the first line comes after ten seconds
    share = "70%" if total == 1 else "49,000 of 70,000"
    assert tenths[7] == f"baseline: fit {share}, about 30 min left"


def test_a_note_is_in_the_line(capsys: pytest.CaptureFixture[str], seconds: list[float]) -> None:
    with progress_bar("predict", 1) as advance:
        seconds[0] = 30
        advance(0.5, "1,200 rows")
    assert capsys.readouterr().err == "predict 50%, 1,200 rows, about 30 s left\n"


def test_loading_before_the_first_step_is_not_expected_again(
    capsys: pytest.CaptureFixture[str], seconds: list[float]
) -> None:
    with progress_bar("transformer: fit", 1) as advance:
        for now, done in ((40, 0.01), (50, 0.11)):
            seconds[0] = now
            advance(done)
    assert capsys.readouterr().err == "transformer: fit 11%, about 89 s left\n"


def test_forced_colours_make_no_bar_of_a_log(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    (line, *_) = lines(2, 60.0, 600)
    assert line == "baseline: fit 0 of 2, about 50 s left"
