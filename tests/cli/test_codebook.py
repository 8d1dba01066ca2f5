"""The commands `paratopic codebook`: changes of a project that has labels."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from paratopic.annotation.labelling_page import PageAction, Session, Submission
from paratopic.corpus.table import read_paragraphs
from paratopic.labels.log import read_lines
from paratopic.labels.votes import latest_votes
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.project.params import read_params
from paratopic.stages import prepare as stage
from tests.annotation.small_project import make_project
from tests.documents import save
from tests.programs import Cli, largest_file
from tests.samples import write_params

ARTICLE = "\n\n".join(
    [
        "The army sent its troops to the border, and the navy sailed past the island.",
        "The navy sailed to the island.",
        "The army sent troops to the border.",
        "Tariffs on goods rose.",
        "It rained.",
    ]
)
LABELS = Path("seeds/labels.csv")
PARAMS = Paths().params
Prepare = Callable[[], str]


@pytest.fixture
def cli(
    cli: Cli, here: Path, baseline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run `paratopic` in a project of one article, three of whose paragraphs are on security."""
    monkeypatch.delenv("PARATOPIC_MODEL", raising=False)
    monkeypatch.setenv("LOGNAME", "cy")
    make_project(here, baseline_folder)
    Path("seeds/sea.txt").write_text(ARTICLE, encoding="utf-8")
    LABELS.write_text("paragraph,topics\n", encoding="utf-8")
    stage.main(Project())
    cells = ["security;trade", "security", "security", "trade", ""]
    rows = zip(read_paragraphs(Paths().paragraphs)["id"], cells, strict=True)
    lines = "".join(f"{id_},{cell},ann\n" for id_, cell in rows)
    LABELS.write_text(f"paragraph,topics,annotator\n{lines}", encoding="utf-8")
    stage.main(Project())
    return lambda *words, status=0: " ".join(cli(*words, status=status).split())


@pytest.fixture
def prepare(capsys: pytest.CaptureFixture[str]) -> Prepare:
    """Run stage prepare, and return its output with single blanks."""

    def run() -> str:
        capsys.readouterr()
        stage.main(Project())
        return " ".join(capsys.readouterr().out.split())

    return run


def latest_cells() -> list[str]:
    topics = read_params(Paths().params).topics
    return [line.cell for line in latest_votes(read_lines(LABELS), topics)]


def test_renamed_and_merged_labels_are_read_with_the_new_name(cli: Cli, prepare: Prepare) -> None:
    labels = LABELS.read_bytes()
    printed = cli("codebook", "rename", "security", "defence")
    assert "security" in printed and "defence" in printed
    assert latest_cells() == ["defence;trade", "defence", "defence", "trade", ""]
    cli("codebook", "merge", "trade", "defence", "--into", "x")
    assert latest_cells() == ["x", "x", "x", "x", ""] and LABELS.read_bytes() == labels
    assert read_params(Paths().params).topics.names == ("x", "technology", "diplomacy_venue")
    assert "5 of 5 paragraphs labelled" in cli("status")
    assert "4 x" in prepare()


def test_on_a_full_disk_nothing_is_changed(cli: Cli) -> None:
    before = Paths().codebook.read_bytes()
    with largest_file(1_000):
        printed = cli("codebook", "rename", "security", "defence", status=1)
    assert "paratopic: seeds/codebook.yaml: File too large" in printed
    assert Paths().codebook.read_bytes() == before
    assert "security is renamed to defence" in cli("codebook", "rename", "security", "defence")


def fill(*cells: str) -> None:
    sheet = pd.read_csv("sheet.csv", dtype=str, keep_default_na=False)
    sheet.assign(topics=cells).to_csv("sheet.csv", index=False)


def test_paragraphs_of_a_split_topic_are_suggested_first(cli: Cli, prepare: Prepare) -> None:
    printed = cli("codebook", "split", "security", "--into", "army", "navy")
    assert "labelled again: 3; `paratopic suggest`" in printed
    assert latest_cells() == ["trade", ""]
    assert "the codebook changed: 3 paragraphs" in cli("status")
    prepared = prepare()
    assert "2 labelled by hand" in prepared
    assert "3 paragraphs" in prepared
    cli("suggest", "--out", "sheet.csv")
    sheet = pd.read_csv("sheet.csv", keep_default_na=False)
    assert list(sheet["reason"]) == ["security was split into army, navy"] * 3
    assert list(sheet["paragraph"]) == list(read_paragraphs(Paths().paragraphs)["id"][:3])
    fill("army", "navy", "army")
    assert "3 new labels" in cli("import", "sheet.csv", "--annotator", "ann")
    assert sorted(latest_cells()) == ["", "army", "army", "navy", "trade"]
    assert "because the codebook changed" not in cli("status")


def test_an_older_sheet_is_read_with_the_present_names(cli: Cli, prepare: Prepare) -> None:
    ids = list(read_paragraphs(Paths().paragraphs)["id"])
    cells = zip(ids[:4], ["Security", "trade"] * 2, strict=True)
    rows = "".join(f"{id_},{cell},bo\n" for id_, cell in cells)
    Path("old.csv").write_text(f"paragraph,topics,annotator\n{rows}", encoding="utf-8")
    LABELS.write_text("paragraph,topics,annotator\n", encoding="utf-8")
    cli("codebook", "rename", "trade", "commerce")
    cli("codebook", "split", "security", "--into", "army", "navy")
    printed = cli("import", "old.csv")
    assert "4 new labels in seeds/labels.csv" in printed
    assert "2 labels" in printed and "security was split into army, navy" in printed
    assert "0 new labels" in cli("import", "old.csv")
    assert latest_cells() == ["commerce", "commerce"]
    assert "2 commerce" in prepare()
    assert "because the codebook changed: 2 paragraphs" in cli("status")


def edit_params(old: str, new: str, path: Path = PARAMS) -> None:
    """Replace something in params.yaml or another file."""
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def add_table() -> None:
    """Add a table with labels to the sources."""
    Path("table.csv").write_text("text,label\nTanks,security\nDuties,trade\n", encoding="utf-8")
    edit_params("sources: [seeds]", "sources: [seeds, table.csv]")


def test_a_change_that_is_undone_opens_nothing(cli: Cli, prepare: Prepare) -> None:
    add_table()
    before = Paths().codebook.read_bytes()
    cli("codebook", "drop", "security")
    prepare()
    assert "because the codebook changed: 4 paragraphs" in cli("status")
    Paths().codebook.write_bytes(before)
    assert "because the codebook changed" not in cli("status")
    assert "4 security" in prepare()


def test_a_dropped_topic_is_labelled_again_on_the_page(cli: Cli, served: list[Session]) -> None:
    cli("codebook", "drop", "security")
    cli("label", "--port", "0", "--annotator", "ann")
    state = served[0].state()
    items, codebook = state["items"], state["codebook"]
    assert [item["id"] for item in items] == list(read_paragraphs(Paths().paragraphs)["id"][:3])
    assert [item["answer"] for item in items] == [None] * 3
    served[0].save(Submission(id=items[0]["id"], topics=["trade"], note="", codebook=codebook))
    assert sorted(latest_cells()) == ["", "trade", "trade"]
    served[0].undo(PageAction(codebook=codebook))
    assert sorted(latest_cells()) == ["", "trade"]


def test_a_mistake_changes_nothing(cli: Cli) -> None:
    before = Paths().codebook.read_bytes()
    for words, message in (
        (["rename", "securty", "x"], '"securty" (did you mean "security"?)'),
        (["merge", "security", "--into", "x"], "two topics"),
        (["merge", "security", "trade"], "one name after --into"),
        (["split", "security"], "two after --into"),
        (["split", "security", "army", "navy"], "two after --into"),
        (["split", "security", "--into", "army"], "two after --into"),
    ):
        printed = cli("codebook", *words, status=1)
        assert message in printed and printed.count("paratopic:") == 1, words
        assert Paths().codebook.read_bytes() == before


def test_names_are_shown_as_they_are(cli: Cli, prepare: Prepare) -> None:
    text = Paths().codebook.read_text(encoding="utf-8")
    Paths().codebook.write_text(text.replace("name: security", "name: security\n    pattern: army"))
    before = "security"
    for name in ("sport [men]", "sport [/men]", "sport :soccer:"):
        assert f"{before} is renamed to {name}, in" in cli("codebook", "rename", before, name)
        assert f"3 {name}" in prepare() and name in cli("status")
        before = name


def test_topics_in_params_are_changed_there(cli: Cli) -> None:
    """Older projects have topics in params.yaml. A link stays one, with its permissions."""
    Paths().codebook.unlink()
    write_params({}, Path("mine.yaml"))
    text = f"# mine\n{Path('mine.yaml').read_text()}# the end\n"
    save(Path(), "mine.yaml", text).chmod(0o640)
    Paths().params.unlink()
    Paths().params.symlink_to("mine.yaml")
    assert "trade is renamed to tax, in params.yaml" in cli("codebook", "rename", "trade", "tax")
    cli("codebook", "drop", "security")
    assert Paths().params.is_symlink() and Path("mine.yaml").stat().st_mode & 0o777 == 0o640
    text = Path("mine.yaml").read_text()
    assert text.startswith("# mine\n") and text.endswith("# the end\n")
    topics = read_params(Paths().params).topics
    assert topics.names == ("tax", "technology", "diplomacy_venue")
    assert topics.retired == {"security": ()} and not Paths().codebook.exists()


def test_a_change_waits_for_another_one(cli: Cli) -> None:
    """Two at once each read params.yaml before the other had written it: one was lost."""
    word = [sys.executable, "-c", "from paratopic.cli.app import main; main()", "codebook"]
    with FileLock(".params.yaml.lock"):
        changes = ("rename", "trade", "commerce"), ("rename", "security", "defence")
        waiting = [subprocess.Popen([*word, *change]) for change in changes]
        time.sleep(0.5)
        assert [process.poll() for process in waiting] == [None, None]
    assert [process.wait() for process in waiting] == [0, 0]
    assert {"commerce", "defence"} <= set(read_params(Paths().params).topics.names)
