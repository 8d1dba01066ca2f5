"""The code of README and docs/ runs as it stands, a page at a time, in a copy of a project."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages import PAGES, README, blocks, each_page

LONGEST_README = 900  # words
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


# These pages run longest or need Java: each in a file of its own, which another process may take.
ELSEWHERE = {
    "mlflow-and-dvc.md": "test_mlflow_page.py",
    "several-topics.md": "test_topics_page.py",
    "spark.md": "test_spark_page.py",
}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.name
)
def test_every_command_of_a_page_runs(page: Path, run_page: Callable[[str], Path]) -> None:
    assert run_page(page.name).exists()  # it fails where a command does


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_code_that_runs_or_output(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(blocks(page))
    assert {language for language, _ in blocks(page)} <= {"bash", "python", "text", "mermaid"}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_is_a_page_and_two_commands_do_everything() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= LONGEST_README
    first = next(code for language, code in blocks(README) if language == "bash")
    assert first.splitlines()[:2] == ["make repro", "make test"]
