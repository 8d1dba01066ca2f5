"""Stage prepare: sources of all kinds in one table, and the parts that are left out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from paratopic.corpus.table import read_paragraphs, read_parquet
from paratopic.project.files import Paths, sha256
from paratopic.project.params import Labels, Prepare
from paratopic.project.topics import Topic, Topics
from paratopic.stages import prepare as stage
from paratopic.stages.prepare import Outputs, main
from tests.samples import BODIES, GERMAN, PARAMS, with_params

TEXT = "Trade\n\nThe tariff on goods rose.\n\nPhoto: Harbour Press\n"


def prepare(settings: Prepare, topics: Topics) -> Outputs:
    """The tables, where no annotator is a weak source."""
    labels = Labels(())
    params = replace(PARAMS, prepare=settings, topics=topics, labels=labels)
    return stage.prepare(with_params(Path(), params))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "marked.md").write_text(f"# Steel\n\n{TEXT}", encoding="utf-8")
    (tmp_path / "labels.csv").write_text("paragraph,topics,text\n", encoding="utf-8")
    return tmp_path


def settings(sources: tuple[str, ...], labels: str | None = None, skip: bool = True) -> Prepare:
    return Prepare(sources, labels, (), "leave_out", skip)


def test_boilerplate_is_marked_unless_it_is_to_be_kept(folder: Path, topics: Topics) -> None:
    path = folder / "notice.txt"
    path.write_text("Talks on tariffs went on in the harbour town.\n\nBilling code 3295-F1-P\n")
    table = folder / "rows.csv"  # somebody chose its rows, and they are in order
    table.write_text("text,label,group,position\nWe cut taxes.,,speech,1\n", encoding="utf-8")
    for skip in (True, False):
        prepared = prepare(settings((str(path), str(table)), skip=skip), topics)
        frame, report = prepared.paragraphs, prepared.report
        assert frame["boilerplate"].tolist() == [False, skip, False]
        assert report.boilerplate == skip


def test_the_file_of_labels_and_its_backup_are_no_sources(folder: Path, topics: Topics) -> None:
    (folder / "notes.odt").touch()
    (folder / "labels.csv.bak").touch()  # git and DVC ignore it, and so do all results
    params = settings((str(folder),), str(folder / "labels.csv"))
    prepared = prepare(params, topics)
    left_out = Counter(part.reason for part in prepared.sources.skipped)
    assert left_out == {"a file of another kind": 1, "caption or credit": 2}
    assert prepared.report.skipped == left_out


def test_a_label_that_is_saved_while_articles_are_read_changes_what_was_read(
    folder: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = folder / "labels.csv"
    before = sha256(labels)
    # The labels are read before this call.
    monkeypatch.setattr(stage, "check_meanings", lambda *_: labels.write_text("other"))
    prepared = prepare(settings((str(folder),), str(labels)), topics)
    assert prepared.report.read[str(labels)] == before


@pytest.fixture
def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """A function that runs the stage on sources in their folder, and returns its output."""
    monkeypatch.chdir(folder)

    def printed(*sources: str) -> str:
        params = replace(PARAMS, prepare=settings(sources))
        main(with_params(Path(), params))
        return capsys.readouterr().out

    return printed


def test_files_that_cannot_be_read_are_counted_and_named(run: Callable[..., str]) -> None:
    Path("empty.txt").touch()
    Path("broken.pdf").write_bytes(b"%PDF-1.4")
    lines = run(".").splitlines()
    (line,) = [line for line in lines if line.startswith("2 files could not be read")]
    assert line.endswith(": broken.pdf, empty.txt")
    report = json.loads(Paths().prepared.read_text(encoding="utf-8"))
    assert report["skipped"]["unreadable"] == 2
    skipped = Path("reports/skipped.csv").read_text(encoding="utf-8")
    assert "empty.txt,0,,unreadable: holds no text. Give a file" in skipped


def test_metadata_are_written_and_reported_once(run: Callable[..., str]) -> None:
    assert "metadata" not in run("plain.txt", "marked.md")
    paragraphs = Paths().paragraphs.read_bytes()
    assert list(read_parquet(Paths().metadata)) == ["id"]
    Path("metadata.csv").write_text("article;source;date\nplain;Post;2025\nno;;\n")
    printed = run("plain.txt", "marked.md")
    assert "metadata: date for 1 of 2 articles (1 from metadata.csv), source for 1\n" in printed
    assert "note: metadata.csv: " in printed
    assert Paths().paragraphs.read_bytes() == paragraphs
    metadata = read_parquet(Paths().metadata)
    assert list(metadata["id"]) == list(read_paragraphs(Paths().paragraphs)["id"])
    report = json.loads(Paths().prepared.read_text(encoding="utf-8"))
    assert report["metadata"] == {"date": {"metadata.csv": 1}, "source": {"metadata.csv": 1}}


def test_topics_without_labels_or_definitions_are_reported(folder: Path) -> None:
    params = settings((str(folder / "plain.txt"),))
    trade = Topic("trade", "Goods.", heading="trade")
    for definition, messages in (
        ("Armies.", ["definitions.*: trade, security"]),
        ("In: armies.", ["definitions are not used.*security", "not learnt.*: trade, security"]),
    ):
        topics = Topics("single", (trade, Topic("security", definition)))
        report = prepare(params, topics).report
        notes = [note for note in report.messages if "topic trade" not in note]
        for note, message in zip(notes, messages, strict=True):
            assert re.search(message, note)


def test_paragraphs_in_other_languages_than_the_labelled_ones_are_counted(folder: Path) -> None:
    (folder / "two.txt").write_text(f"Stahl\n\n{GERMAN}\n\n{BODIES[2]}\n", encoding="utf-8")
    params = settings((str(folder / "two.txt"),))
    for definitions, note in (
        (BODIES, "1 of 2 paragraphs seems to be German"),
        ([GERMAN, BODIES[1]], ""),
    ):
        trade, security = map(Topic, ("trade", "security"), definitions)
        messages = prepare(params, Topics("single", (trade, security))).report.messages
        language_notes = [message for message in messages if "label some" in message]
        assert len(language_notes) == bool(note)
        assert all(message.startswith(note) for message in language_notes)


def test_copies_with_different_labels_are_named(folder: Path, topics: Topics) -> None:
    rows = ["1,A tariff.,trade", "2,A tariff.,security", "3,A tariff.,trade", "4,A navy.,security"]
    path = folder / "table.csv"
    path.write_text("\n".join(["id,text,label", *rows]), encoding="utf-8")
    messages = prepare(settings((str(path),)), topics).report.messages
    (message,) = [message for message in messages if "copies" in message]
    assert message.startswith("1 text ") and "table:1 and table:2" in message
