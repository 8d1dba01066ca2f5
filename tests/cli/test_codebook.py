"""The codebook changes while one labels: what the commands do to a project."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from paratopic.annotation.page import Answer, Session, Shown
from paratopic.corpus.table import read_paragraphs
from paratopic.labels.answers import current
from paratopic.labels.log import read_lines
from paratopic.project.errors import UserError
from paratopic.project.params import read_params
from paratopic.project.paths import CHAMPION, PARAGRAPHS, PARAMS
from paratopic.stages import prepare as stage
from tests.annotation.small_project import make_project
from tests.programs import largest_file, run_cli

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
Cli = Callable[..., str]


@pytest.fixture
def cli(
    tmp_path: Path,
    baseline_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """Run `paratopic` in a project of one article, three of whose paragraphs are on security."""

    def run(*words: str, fails: bool = False) -> str:
        assert (run_cli(monkeypatch, *words) != 0) == fails
        printed = capsys.readouterr()
        return " ".join((printed.out + printed.err).split())

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARATOPIC_MODEL", raising=False)
    monkeypatch.setenv("LOGNAME", "cy")
    make_project(tmp_path, baseline_folder)
    Path("seeds/sea.txt").write_text(ARTICLE, encoding="utf-8")
    LABELS.write_text("paragraph,topics\n", encoding="utf-8")
    stage.main()
    answers = ["security;trade", "security", "security", "trade", ""]
    rows = zip(read_paragraphs(PARAGRAPHS)["id"], answers, strict=True)
    lines = "".join(f"{id_},{cell},ann\n" for id_, cell in rows)
    LABELS.write_text(f"paragraph,topics,annotator\n{lines}", encoding="utf-8")
    prepare(capsys)
    return run


def prepare(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    stage.main()
    return capsys.readouterr().out


def answers() -> list[str]:
    return [line.cell for line in current(read_lines(LABELS))]


def contents() -> tuple[bytes, bytes]:
    return PARAMS.read_bytes(), LABELS.read_bytes()


def test_renamed_and_merged_labels_count_at_once(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = cli("codebook", "rename", "security", "defence")
    assert "security is renamed to defence, in params.yaml and seeds/labels.csv" in printed
    assert "defence now has 3 answers" in printed
    printed = cli("codebook", "merge", "trade", "defence", "--into", "defence")
    assert "defence now has 4 answers" in printed and "definitions were joined" in printed
    assert answers() == ["defence", "defence", "defence", "defence", ""]
    assert read_params().topics.names == ("defence", "technology", "diplomacy_venue")
    assert "4 defence" in prepare(capsys)
    assert "There is nothing to look at again" in cli("codebook", "todo")


def test_on_a_full_disk_neither_file_is_changed(cli: Cli) -> None:
    before = contents()
    with largest_file(1_000):
        printed = cli("codebook", "rename", "security", "defence", fails=True)
    assert "paratopic: params.yaml: File too large" in printed
    assert contents() == before
    assert "security is renamed to defence" in cli("codebook", "rename", "security", "defence")


def test_a_split_is_looked_at_again_and_imported(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = cli("codebook", "split", "security", "--into", "army", "navy", "security")
    assert "3 paragraphs have to be looked at again" in printed
    names = ("trade", "technology", "army", "navy", "security", "diplomacy_venue")
    assert read_params().topics.names == names
    assert answers() == ["trade", ""]
    printed = prepare(capsys)
    assert "2 labelled by hand" in printed
    assert "3 paragraphs have no label until somebody looks again" in printed
    assert "the codebook changed: 3 paragraphs" in cli("status")
    assert "2 of 3 paragraphs" in cli("codebook", "todo", "--n", "2", "--out", "two.xlsx")

    printed = cli("codebook", "todo", "--out", "todo.csv")
    assert "3 of 3 paragraphs" in printed
    assert "these topics have no definition: army, navy." in printed
    with Path("todo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["reason"] for row in rows} == {"security is split into army, navy, security"}
    assert {row["suggestion"] for row in rows} == {""}
    for row in rows:
        row["topics"] = "security"  # the name that it had, by the annotator who gave it
    with Path("todo.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for added in (3, 0):
        assert f"{added} new label" in cli("import", "todo.csv", "--annotator", "ann")
    assert sorted(answers()) == ["", "security", "security", "security", "trade"]
    assert "There is nothing to look at again" in cli("codebook", "todo")
    assert "1 on the codebook" in cli("import", str(LABELS))


def test_labels_of_a_table_follow_too(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").write_text(
        "text,label\nTanks,security\nGuns,security;trade\nCorn,trade\n", encoding="utf-8"
    )
    params = PARAMS.read_text(encoding="utf-8")
    PARAMS.write_text(params.replace("[seeds]", "[seeds, table.csv]"), encoding="utf-8")
    prepare(capsys)
    printed = cli("codebook", "rename", "trade", "commerce")
    assert "commerce now has 2 answers and 2 table labels" in printed
    assert "commerce" in prepare(capsys)
    printed = cli("codebook", "split", "security", "--into", "army", "navy")
    assert "5 paragraphs have to be looked at again" in printed
    assert "5 paragraphs have no label until somebody looks again" in prepare(capsys)
    assert "the codebook changed: 5 paragraphs" in cli("status")
    cli("codebook", "todo", "--out", "todo.csv")
    with Path("todo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"Tanks", "Guns"} < {row["text"] for row in rows}
    for row in rows:
        row["topics"] = "army" if row["text"] == "Tanks" else "?"
    with Path("todo.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    cli("import", "todo.csv")
    assert "4 paragraphs have no label" in prepare(capsys)
    frame = read_paragraphs(PARAGRAPHS).set_index("text")
    assert list(frame["topics"]["Tanks"]) == ["army"]
    Path("table.csv").write_text("text,label\nTanks,security\nGuns,navy\n", encoding="utf-8")
    assert "3 paragraphs have no label" in prepare(capsys)  # those of the article
    Path("table.csv").unlink()
    note = "table.csv names no file: give the path of an article or a table"
    for words in (("status",), ("codebook", "todo"), ("codebook", "rename", "commerce", "trade")):
        assert note in cli(*words)
    assert "trade" in read_params().topics.names


def test_a_dropped_topic_is_looked_at_again_on_the_page(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("codebook", "drop", "security")
    CHAMPION.unlink()  # without a model the order is that of the table
    cli("codebook", "todo", "--out", "todo.csv")
    served: list[Session] = []
    monkeypatch.setattr("paratopic.annotation.page.application", served.append)
    monkeypatch.setattr("paratopic.annotation.web.serve", lambda *_: None)
    cli("label", "todo.csv", "--port", "0", "--blind", "--annotator", "ann")
    state = served[0].state()
    items, codebook = state["items"], state["codebook"]
    assert [item["id"] for item in items] == list(read_paragraphs(PARAGRAPHS)["id"][:3])
    assert [item["answer"] for item in items] == [None] * 3
    served[0].save(Answer(id=items[0]["id"], topics=["trade"], note="", codebook=codebook))
    assert sorted(answers()) == ["", "trade", "trade"]
    served[0].undo(Shown(codebook=codebook))
    assert "3 of 3" in cli("codebook", "todo", "--out", "todo.csv")


def test_of_several_topics_all_follow(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    params = PARAMS.read_text(encoding="utf-8")
    PARAMS.write_text(params.replace("mode: single", "mode: multi"), encoding="utf-8")
    CHAMPION.unlink()  # it has the other mode
    assert "2 trade, 3 security" in " ".join(prepare(capsys).split())
    assert "defence now has 2 answers" in cli("codebook", "rename", "trade", "defence")
    assert answers() == ["security;defence", "security", "security", "defence", ""]
    assert "2 defence, 3 security" in " ".join(prepare(capsys).split())
    printed = cli("codebook", "split", "security", "--into", "army", "sea")
    assert "3 paragraphs have to be looked at again" in printed
    cli("codebook", "todo", "--out", "todo.csv")
    todo = pd.read_csv("todo.csv")
    todo.assign(topics=["army;sea;defence", "sea", "army"]).to_csv("todo.csv", index=False)
    assert "3 new labels" in cli("import", "todo.csv", "--annotator", "ann")
    assert sorted(answers()) == ["", "army", "army;sea;defence", "defence", "sea"]
    assert "2 defence, 2 army, 2 sea" in " ".join(prepare(capsys).split())


def test_the_most_doubtful_paragraph_comes_first(cli: Cli) -> None:
    cli("codebook", "split", "security", "--into", "army", "navy")
    params = PARAMS.read_text(encoding="utf-8")
    params = params.replace('"Army."', '"Army, troops, border."')
    params = params.replace('"Navy."', '"Navy, island."')
    PARAMS.write_text(params, encoding="utf-8")
    cli("codebook", "todo", "--out", "todo.csv")
    with Path("todo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["text"].startswith("The army sent its troops to the border, and the navy")
    assert [row["suggestion"] for row in rows if len(row["text"]) < 40] in (
        ["army", "navy"],
        ["navy", "army"],
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rename", "securty", "x"], 'no topic "securty" (did you mean "security"?)'),
        (["rename", "security", "trade"], 'has a topic "trade" already'),
        (["rename", "security", "a;b"], "is not a topic name"),
        (["merge", "security", "--into", "x"], "merge needs at least two topics"),
        (["merge", "security", "trade"], "and one name after --into"),
        (["split", "security"], "at least two after --into"),
        (["split", "security", "army", "navy"], "at least two after --into"),
        (["split", "security", "--into", "army"], "at least two after --into"),
        (["split", "security", "--into", "army", "trade"], 'has a topic "trade" already'),
        (["drop", "weather"], 'the codebook has no topic "weather"; it has trade'),
    ],
)
def test_a_mistake_changes_nothing(cli: Cli, words: list[str], message: str) -> None:
    before = contents()
    printed = cli("codebook", *words, fails=True)
    assert message in printed and printed.count("paratopic:") == 1
    assert contents() == before


def test_two_topics_stay(cli: Cli) -> None:
    cli("codebook", "drop", "technology")
    cli("codebook", "drop", "trade")
    before = contents()
    assert "at least two topics" in cli("codebook", "drop", "security", fails=True)
    assert contents() == before


def test_what_cannot_be_edited_is_left_alone(cli: Cli) -> None:
    params = PARAMS.read_text(encoding="utf-8")
    shared = params.replace("definition: >-", "definition: &text >-", 1)
    shared = shared.replace("license: null\n", "")
    PARAMS.write_text(f"{shared}\nlicense: *text\n", encoding="utf-8")
    before = contents()
    assert "cannot be edited as it is written" in cli("codebook", "drop", "trade", fails=True)
    assert contents() == before


def test_labels_need_a_file(cli: Cli) -> None:
    params = PARAMS.read_text(encoding="utf-8")
    params = params.replace("labels: seeds/labels.csv", "labels: null")
    PARAMS.write_text(params, encoding="utf-8")
    assert "set prepare.labels" in cli("codebook", "drop", "trade", fails=True)


@pytest.mark.parametrize(
    "words",
    [
        ["rename", "security", "defence"],
        ["merge", "trade", "security", "--into", "trade"],
        ["split", "security", "--into", "army", "navy"],
        ["drop", "security"],
    ],
)
def test_a_crash_between_the_two_files_is_explained_and_finished(
    cli: Cli, words: list[str]
) -> None:
    whole = PARAMS.read_bytes()
    cli("codebook", *words)
    done = contents()
    PARAMS.write_bytes(whole)
    told = f"but not in params.yaml: run `paratopic codebook {' '.join(words)}` again"
    for other in (["status"], ["codebook", "rename", "technology", "x"]):
        assert told in cli(*other, fails=True)
    with pytest.raises(UserError, match="again to finish the change"):
        stage.main()
    cli("codebook", *words)
    assert contents() == done


def test_a_crash_before_the_log_is_written_changes_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = contents()
    with monkeypatch.context() as patch:
        patch.setattr("paratopic.labels.log.append_locked", full)
        assert "No space left" in cli("codebook", "drop", "security", fails=True)
    assert contents() == before
