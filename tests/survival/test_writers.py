"""The page, `import` and the pipeline use one labels.csv at once, and no label is lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from paratopic.annotation import labelling_page
from paratopic.corpus.table import read_paragraphs
from paratopic.labels.log import read_lines
from paratopic.labels.votes import latest_votes
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.project.params import read_params
from paratopic.stages import prepare
from tests.annotation.small_project import make_project
from tests.annotation.suggested import suggestions
from tests.programs import ask, run_cli, served, sh
from tests.samples import TOPICS

LABELS = Path("seeds/labels.csv")
HERE = "http://127.0.0.1:9090"
# Each annotator votes on all paragraphs, with one topic.
TOPIC_OF = {"ann": "trade", "zoe": "security"}

Send = Callable[[dict[str, Any]], None]


def write_at_once(
    project: Path, save: Send, import_sheet: Callable[[str], None], run: Callable[[], None]
) -> None:
    """Label all paragraphs by the page and by imported sheets, while the pipeline runs."""
    ids = list(read_paragraphs(Paths(project).paragraphs)["id"])
    codebook = labelling_page.codebook_version(read_params(Paths(project).params).topics)
    ann, zoe = TOPIC_OF

    def on_the_page() -> None:
        for id_ in ids:
            save({"id": id_, "topics": [TOPIC_OF[ann]], "note": "", "codebook": codebook})

    def from_sheets() -> None:
        for number in range(1, len(ids) + 1):
            # Rows have a name, because one without would count as the same line of the seed.
            rows = "".join(f"{id_},{TOPIC_OF[zoe]},{zoe}\n" for id_ in ids[:number])
            sheet = project / "sheet.csv"
            sheet.write_text(f"paragraph,topics,annotator\n{rows}", encoding="utf-8")
            import_sheet(sheet.name)

    with ThreadPoolExecutor(2) as threads:
        writers = [threads.submit(write) for write in (on_the_page, from_sheets)]
        n_runs = 0
        while n_runs < 2 or not all(writer.done() for writer in writers):
            run()
            n_runs += 1
        for writer in writers:
            writer.result()
    labels = [
        (line.paragraph, line.annotator, line.cell)
        for line in latest_votes(read_lines(project / LABELS), TOPICS)
        if line.annotator in TOPIC_OF
    ]
    assert sorted(labels) == sorted((id_, *pair) for id_ in ids for pair in TOPIC_OF.items())


def session(project: Path) -> labelling_page.Session:
    """A session of the page on all paragraphs of a project."""
    topics = read_params(Paths(project).params).topics
    (shown,) = suggestions(TOPICS, 1)
    ids = read_paragraphs(Paths(project).paragraphs)["id"]
    items = [replace(shown, id=id_, scores={}) for id_ in ids]
    return labelling_page.Session(project / LABELS, "ann", items, lambda: topics)


def test_three_writers_lose_no_label(
    here: Path, baseline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(here, baseline_folder)
    texts = "\n\n".join(f"The talks of day {day} were on tariffs." for day in range(8))
    Path("seeds/news.txt").write_text(texts, encoding="utf-8")
    LABELS.write_text("paragraph,topics\n", encoding="utf-8")
    prepare.main(Project())
    on_page = TestClient(labelling_page.application(session(here)), base_url=HERE)

    def save(vote: dict[str, Any]) -> None:
        assert "answer" in on_page.post("/save", json=vote).json()

    def import_sheet(sheet: str) -> None:
        assert run_cli(monkeypatch, "import", sheet) == 0

    write_at_once(here, save, import_sheet, lambda: prepare.main(Project()))
    prepare.main(Project())
    assert len(read_paragraphs(Paths().paragraphs)) == 8


PAGE = """
from pathlib import Path
from paratopic.annotation.labelling_page import application, listen, serve
from tests.survival.test_writers import session
serve(application(session(Path())), listen(0))
"""
COMMAND = [sys.executable, "-c", "from paratopic.cli.app import main; main()"]


@pytest.mark.long
def test_three_programs_lose_no_label(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "project"
    shutil.copytree(project, clone, symlinks=True)
    with served(clone, sys.executable, "-c", PAGE) as on_page:

        def save(vote: dict[str, Any]) -> None:
            assert "state" not in ask(f"{on_page}/save", vote)

        write_at_once(
            clone,
            save,
            lambda sheet: print(sh(clone, *COMMAND, "import", sheet)),
            lambda: print(sh(clone, "dvc", "repro")),
        )
    assert "Running stage 'prepare'" in sh(clone, "dvc", "repro")
