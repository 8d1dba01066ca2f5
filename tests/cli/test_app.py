"""The program itself: its version, and its notes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paratopic import __version__
from paratopic.cli.app import COMMANDS
from tests.documents import PAGE, save
from tests.programs import Cli


@pytest.mark.parametrize("out", [[], ["--out", "answers.csv"]])
def test_quiet_leaves_out_notes_and_verbose_adds_some(
    cli: Cli, baseline_folder: Path, here: Path, out: list[str]
) -> None:
    words = ["predict", "--model", baseline_folder, save(here, "news.html", PAGE).name, *out]
    plain = cli(*words)
    assert "news.html: skipped (byline): By Jane Doe, Reuters" in plain.err
    for command in (["-q", *words], [*words, "--quiet"]):
        assert cli(*command) == plain.out
    printed = cli(*words, "-v")
    assert printed.out == plain.out
    assert f"{baseline_folder} (baseline): loaded in " in printed.err
    assert "reading news.html\n" in printed.err
    assert re.search(r"^3 (rows|paragraphs), 3 windows: \d\.\d\d s$", printed.err, re.MULTILINE)


def test_errors_are_printed_with_quiet(cli: Cli, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert "does not exist" in cli("-q", "predict", "--model", gone, "x.txt", status=1)
    assert "No such option" in cli("-q", "predict", "--modle", "x", status=2)


def test_the_version_is_printed_and_the_list_of_commands_matches_their_help(
    monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    assert cli("--version") == f"paratopic {__version__}\n"
    monkeypatch.setenv("COLUMNS", "200")
    for name, help_text in COMMANDS.items():
        assert help_text in cli(name, "--help")
    assert "predict" in cli("predct", status=2)
