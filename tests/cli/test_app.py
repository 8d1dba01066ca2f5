"""The program itself: its version, and how much it says."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from paratopic.cli.app import COMMANDS
from tests.documents import PAGE
from tests.programs import run_cli


def test_it_prints_its_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"paratopic {version('paratopic')}\n"


@pytest.mark.parametrize("out", [[], ["--out", "answers.csv"]])
def test_quiet_leaves_out_notes_and_verbose_adds_some(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    baseline_folder: Path,
    tmp_path: Path,
    out: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "news.html").write_text(PAGE, encoding="utf-8")
    words = ["predict", "--model", str(baseline_folder), "news.html", *out]
    assert run_cli(monkeypatch, *words) == 0
    plain = capsys.readouterr()
    assert "news.html: skipped (byline): By Jane Doe, Reuters" in plain.err
    for command in (["-q", *words], [*words, "--quiet"]):
        assert run_cli(monkeypatch, *command) == 0
        assert capsys.readouterr() == (plain.out, "")
    assert run_cli(monkeypatch, *words, "-v") == 0
    printed = capsys.readouterr()
    assert printed.out == plain.out
    assert f"{baseline_folder} (baseline): loaded in " in printed.err
    assert "reading news.html\n" in printed.err
    assert re.search(r"^3 (rows|paragraphs), 3 windows: \d\.\d\d s$", printed.err, re.MULTILINE)


def test_errors_are_said_quietly_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_cli(monkeypatch, "-q", "predict", "--model", str(tmp_path / "gone"), "x.txt") == 1
    assert "does not exist" in capsys.readouterr().out
    assert run_cli(monkeypatch, "-q", "predict", "--modle", "x") == 2
    assert "No such option" in capsys.readouterr().err
    assert run_cli(monkeypatch, "-q", "status", "-v") == 1
    assert "--quiet and --verbose cannot be used together" in capsys.readouterr().out


def test_the_list_of_commands_says_what_each_command_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for name, help_text in COMMANDS.items():
        assert run_cli(monkeypatch, name, "--help") == 0
        assert help_text in capsys.readouterr().out
    assert run_cli(monkeypatch, "predct") == 2
    assert "predict" in capsys.readouterr().err
