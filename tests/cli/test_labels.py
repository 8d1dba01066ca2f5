"""The labelling loop through the command line: suggest, label, import, and what then counts."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from paratopic.annotation.labelling_page import Session, Submission
from paratopic.cli.next_steps import DRAW
from paratopic.cli.start import create, new_topics
from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.inference.model import load
from paratopic.labels.log import read_lines
from paratopic.project.files import Paths
from paratopic.project.passages import Passage
from tests.annotation.small_project import make_project
from tests.cli.test_codebook import edit_params
from tests.documents import read_sheet
from tests.programs import Cli, run_stages
from tests.samples import WORDS, paragraph

LABELS = Path("seeds/labels.csv")
ARTICLE = """Harbour news

Exporters feared that the new tariffs on steel would close the market to them.

The navy sailed past the island, and the alliance sent troops to the border.

A chip maker printed that its software was copied.
"""


@pytest.fixture
def begin(
    here: Path, baseline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Begin a project of articles without labels, in the current directory: name → text."""
    monkeypatch.delenv("PARATOPIC_MODEL", raising=False)
    monkeypatch.setenv("LOGNAME", "cy")

    def prepared(**articles: str) -> Path:
        make_project(here, baseline_folder)
        LABELS.write_text("paragraph,topics\n", encoding="utf-8")
        for name, text in articles.items():
            Path(f"seeds/{name}.txt").write_text(text, encoding="utf-8")
        prepare(here)
        return here

    return prepared


@pytest.fixture
def harbour(begin: Callable[..., Path]) -> Path:
    return begin(harbour=ARTICLE)


def prepare(folder: Path) -> str:
    """Run stage prepare in a folder, and return its output."""
    with redirect_stdout(io.StringIO()) as printed:
        run_stages("prepare", root=folder)
    return printed.getvalue()


def fill(name: str, **topic_of: str) -> None:
    """Fill in sheet.csv and save it as another file: word → topic of paragraphs that contain it."""
    rows = read_sheet("sheet.csv")
    for row in rows:
        row["topics"] = next((t for word, t in topic_of.items() if word in row["text"]), "?")
    pd.DataFrame(rows).to_csv(name, index=False)


def test_suggestions_are_the_same_for_all_tools(harbour: Path, cli: Cli) -> None:
    before = LABELS.read_bytes()
    printed = cli("suggest", "--n", "2")
    assert len(list(csv.DictReader(printed.splitlines()))) == 2
    assert cli("suggest", "--n", "2") == printed
    cli("suggest", "--out", "sheet.csv")
    cli("suggest", "--out", "tasks.json")
    tasks = json.loads(Path("tasks.json").read_text())
    assert len(tasks) == len(read_sheet("sheet.csv")) == 3
    champion = json.loads(Path("models/champion").read_text())["champion"]
    assert {task["predictions"][0]["model_version"] for task in tasks} == {champion}
    assert LABELS.read_bytes() == before


def fill_two_sheets(cli: Cli) -> None:
    cli("suggest", "--out", "sheet.csv")
    fill("ann.csv", tariffs="trade;security", navy="security")
    fill("bo.csv", tariffs="trade", navy="trade", chip="technology")


def test_imported_labels_do_not_depend_on_the_order_of_the_files(harbour: Path, cli: Cli) -> None:
    before = LABELS.read_bytes()
    fill_two_sheets(cli)
    printed = cli("import", "ann.csv", "--annotator", "ann")
    assert "ann.csv: 2 new labels in seeds/labels.csv, 0 already there, " in printed
    assert "0 disputed, 0 not imported, " in printed and "1 undecided" in printed
    assert "note:" not in printed
    printed = cli("import", "bo.csv", "--annotator", "bo")
    assert printed.count("disputed: harbour:") == 2
    assert "ann: security; bo: trade → a tie" in printed
    after = LABELS.read_bytes()
    assert "ann.csv: 0 new labels" in cli("import", "ann.csv", "--annotator", "ann")
    assert LABELS.read_bytes() == after
    LABELS.write_bytes(before)
    cli("import", "bo.csv", "--annotator", "bo")
    cli("import", "ann.csv", "--annotator", "ann")
    assert LABELS.read_bytes() == after
    assert LABELS.with_name("labels.csv.bak").exists()


def test_imported_labels_are_counted(
    harbour: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paratopic.results.project._dvc_status", lambda root, stages: {})
    fill_two_sheets(cli)
    cli("import", "ann.csv", "--annotator", "ann")
    cli("import", "bo.csv", "--annotator", "bo")
    for command in ("label", "suggest"):
        assert "nothing left to label" in cli(command, status=1)
    prepared = prepare(harbour)
    assert "1 disputed paragraph" in prepared and "1 tie" in prepared
    assert "Ties between annotators: 1 paragraph" in cli("status")
    people = json.loads(Path("reports/prepare.json").read_text())["annotators"]
    assert (people["annotators"], people["paragraphs"]) == (["ann", "bo"], 2)


def test_import_reports_unknown_topics_and_imports_the_rest(harbour: Path, cli: Cli) -> None:
    cli("suggest", "--out", "sheet.csv")
    fill("ann.csv", tariffs="trade", navy="securty")
    printed = cli("import", "ann.csv", status=3)
    assert 'unknown topic "securty" (did you mean "security"?)' in printed
    assert "1 new label in" in printed and "1 not imported" in printed
    assert printed.partition("Next:\n")[2].startswith("  edit ")
    fill("bo.csv", tariffs="")
    empty = next(n for n, row in enumerate(read_sheet("bo.csv"), 2) if not row["topics"])
    assert f"Empty rows: {empty}\n" in cli("import", "bo.csv")
    assert "the file's ending says" in cli("import", "x.txt", status=1)
    assert "ann.csv is a table: list it in" in cli("paragraphs", "ann.csv", status=1)
    edit_params("labels: seeds/labels.csv", "labels: null")
    assert "set prepare.labels" in cli("import", "ann.csv", status=1)
    Path("data/paragraphs.parquet").unlink()
    assert "dvc repro prepare" in cli("suggest", status=1)


def test_new_articles_that_are_not_prepared_are_told(harbour: Path, cli: Cli) -> None:
    Path("seeds/pier.txt").write_text(
        "The pier\n\nA pier was built in the harbour.\n", encoding="utf-8"
    )
    Path("seeds/skipped.txt").write_text("By Ann Lee\n", encoding="utf-8")
    printed = cli("suggest", "--out", "sheet.csv")
    assert "not read yet: seeds/pier.txt and 1 more; `dvc repro prepare` reads" in printed
    assert "3 paragraphs to label: sheet.csv" in printed
    fill("ann.csv", tariffs="trade", navy="security", chip="technology")
    cli("import", "ann.csv", "--annotator", "ann")
    for command in ("suggest", "label"):
        printed = cli(command, status=1)
        assert "not read yet: seeds/pier.txt and 1 more; `dvc repro prepare` reads" in printed
    prepare(harbour)
    printed = cli("suggest")  # An article without paragraphs has been read, too.
    assert "pier:" in printed and "note:" not in printed
    Path("seeds/pier.txt").write_text("The pier\n\nA pier was built.\n", encoding="utf-8")
    prepare(harbour)
    assert "but for 2 of boilerplate (prepare.skip_boilerplate)" in cli("suggest", status=1)


def test_a_sheet_that_is_filled_in_is_not_written_over(harbour: Path, cli: Cli) -> None:
    cli("suggest", "--out", "sheet.csv")
    cli("suggest", "--out", "sheet.csv")  # The first sheet is not filled in.
    sheet = Path("sheet.csv").read_text().replace("?", "trade", 1)
    Path("sheet.csv").write_text(sheet)
    assert "sheet.csv has 1 answer" in cli("suggest", "--out", "sheet.csv", status=1)
    assert Path("sheet.csv").read_text() == sheet
    Path("other.csv").write_text("name\nx\n")
    assert "no sheet to label" in cli("suggest", "--out", "other.csv", status=1)


def test_a_sheet_that_is_saved_several_times_has_one_annotator(harbour: Path, cli: Cli) -> None:
    cli("suggest", "--out", "sheet.csv")
    for name in ("ann.csv", "excel.csv", "excel2.csv"):
        fill(name, tariffs="trade", navy="security")
    printed = cli("import", "ann.csv", "excel.csv", "excel2.csv")
    assert "ann.csv, excel.csv, excel2.csv" in printed and "cy's" in printed
    assert [line.annotator for line in read_lines(LABELS) if line.annotator] == ["cy", "cy"]


def test_a_user_without_a_name_is_asked_for_one_where_it_is_needed(
    harbour: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getuser() -> str:  # The password file lacks the user id.
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr("getpass.getuser", getuser)
    cli("suggest", "--out", "sheet.csv")
    fill("ann.csv", tariffs="trade")
    before = LABELS.read_bytes()
    for command in ("import ann.csv", "label"):
        printed = cli(*command.split(), status=1)
        assert "--annotator NAME" in printed and "uid" not in printed
    assert LABELS.read_bytes() == before
    assert "1 new label" in cli("import", "ann.csv", "--annotator", "ann")


def test_what_the_model_thinks_is_hidden_where_others_labelled_the_same_sheet(
    harbour: Path, cli: Cli, served: list[Session]
) -> None:
    cli("suggest", "--blind", "--out", "sheet.csv")
    rows = read_sheet("sheet.csv")
    assert len(rows) == 3 and {row["suggestion"] + row["probability"] for row in rows} == {""}
    fill("ann.csv", tariffs="trade")
    cli("import", "ann.csv", "--annotator", "ann")
    for annotator, options, blind in (
        ("ann", [], False),
        ("bo", [], True),
        ("bo", ["--no-blind"], False),
        ("ann", ["--blind"], True),
    ):
        printed = cli("label", "sheet.csv", "--port", "0", "--annotator", annotator, *options)
        hidden = [not item["scores"] for item in served[-1].state()["items"]]
        assert hidden == [blind] * 3
        assert served[-1].state()["explains"] == (not blind)
        is_noted = "note: ann" in printed
        assert is_noted == (blind and not options)
    cli("label", "--port", "0", "--blind")  # There is no sheet.
    assert all(not item["scores"] for item in served[-1].state()["items"])


def test_why_is_asked_of_what_stands_around_a_paragraph_too(
    here: Path, context_model_folder: Path, cli: Cli, served: list[Session]
) -> None:
    make_project(here, context_model_folder)
    (here / LABELS).write_text("paragraph,topics\n", encoding="utf-8")
    cli("label", "--port", "0", "--annotator", "ann")
    (session,) = served
    (item,) = [item for item in session.items if "navy" in item.text]
    near = Passage(item.text, "Tariffs rose.", ("It rained.", "Chips."), title="Trade")
    (sentence,) = session.why(item.id)["sentences"]
    model = load(context_model_folder)
    with_context = model.explain(near)
    without_context = model.explain(item.text)
    topic = with_context.topic
    assert sentence["share"] == with_context.sentences[0].shares[topic]
    assert sentence["share"] != without_context.sentences[0].shares[topic]


@pytest.fixture
def small(begin: Callable[..., Path]) -> Path:
    """A project of three articles of eight paragraphs, each about a topic."""
    rng = random.Random(0)
    articles: dict[str, str] = {}
    for name, topic in zip("abc", WORDS, strict=True):
        articles[name] = "\n\n".join(paragraph(topic, rng) for _ in range(8))
    return begin(**articles)


def drawn_by(cli: Cli, *options: str) -> tuple[list[str], list[str], str]:
    """The column drawn, the articles and the notes of `suggest`."""
    notes = cli("suggest", "--out", "sheet.csv", *options)
    rows = read_sheet("sheet.csv")
    shown = Paths().champion.exists() and "are hidden" not in notes
    assert {bool(row["suggestion"]) for row in rows} == {shown}
    return (
        [row["drawn"].removesuffix(" of 24") for row in rows],
        [row["paragraph"][0] for row in rows],
        notes,
    )


def test_a_sample_is_drawn_in_several_ways(small: Path, cli: Cli) -> None:
    draw = partial(drawn_by, cli)
    assert draw("--n", "3")[0] == ["", "", ""]
    drawn, articles, notes = draw("--random", "--by", "article", "--n", "6")
    assert drawn == [f"1 of 8 in article={name}" for name in articles]
    assert Counter(articles) == dict.fromkeys("abc", 2)
    assert "3 groups have fewer than 20 labels" in notes
    assert notes.count("8 labels in each group (--n 24): about ± 0 points") == 1
    assert "predictions are hidden" in notes
    drawn, articles, _ = draw("--random", "--articles", "--n", "9", "--no-blind")
    assert drawn == ["article"] * 16 and len(set(articles)) == 2
    mixed, _, _ = draw("--mixed", "--n", "20")
    assert mixed[0] in ("0.3", "17.1") and len(set(mixed)) > 2
    shutil.rmtree(small / "models")
    assert draw("--random", "--n", "24")[0] == ["1"] * 24  # A random draw needs no model.
    for options in (["--mixed"], ["--random", "--no-blind"]):
        cli("suggest", *options, status=1)


def test_a_sample_is_labelled_and_weighed(small: Path, cli: Cli) -> None:
    cli("suggest", "--random", "--n", "24", "--out", "sheet.csv")
    fill("ann.csv", e="trade")
    cli("import", "ann.csv", "--annotator", "ann")
    assert [line.drawn for line in read_lines(LABELS)] == ["1 of 24"] * 24
    sampled = "labels: all 24 were drawn at random (paragraphs)"
    assert sampled in prepare(small)
    report = json.loads(Path("reports/prepare.json").read_text())
    assert report["sample"] == {"kind": "paragraph", "drawn": 24}
    frame = read_labelled_paragraphs(Paths(small))
    assert frame["weight"].tolist() == [1.0] * 24 and set(frame["draw"]) == {"paragraph"}
    assert sampled in cli("status")
    LABELS.write_text(LABELS.read_text().replace("drawn", "mine"), encoding="utf-8")
    assert "not known how these paragraphs were chosen" in prepare(small)
    assert read_labelled_paragraphs(Paths(small))["weight"].isna().all()


@pytest.mark.parametrize("options", [["--random"], ["--random", "--articles"], ["--mixed"]])
def test_label_studio_keeps_how_paragraphs_were_drawn(
    small: Path, cli: Cli, options: list[str]
) -> None:
    cli("suggest", "--n", "6", "--out", "tasks.json", *options)
    tasks = json.loads(Path("tasks.json").read_text())
    drawn = {task["data"]["paragraph"]: task["data"]["drawn"] for task in tasks}
    assert all(drawn.values()) and not any("predictions" in task for task in tasks)

    def notes_of(*numbers: int) -> str:
        """Messages of `import` for an export in which only these tasks have an annotation."""
        value = {"choices": ["trade"]}
        done = {"completed_by": 1, "result": [{"from_name": "dominant", "value": value}]}
        export = [tasks[number] | {"id": number, "annotations": [done]} for number in numbers]
        Path("export.json").write_text(json.dumps(export))
        return cli("import", "export.json")

    assert "note:" not in notes_of(0, 1)
    assert "note: 2 paragraphs" in notes_of(0, 3, 5)
    assert "note:" not in notes_of(4)  # The one before it has a label in labels.csv.
    assert "note:" not in notes_of(*range(6))
    imported = {line.paragraph: line.drawn for line in read_lines(LABELS)}
    assert imported == dict(list(drawn.items())[:6])


def test_the_page_hides_what_the_model_thinks_of_a_sample(
    small: Path, cli: Cli, served: list[Session]
) -> None:
    cli("suggest", "--random", "--n", "4", "--out", "random.csv")
    cli("suggest", "--n", "4", "--out", "suggested.csv")
    for options, hidden in (
        (["random.csv"], True),
        (["random.csv", "--no-blind"], False),
        (["suggested.csv"], False),
        (["--n", "4"], False),
        (["--n", "4", "--mixed"], True),
        (["--n", "4", "--random"], True),
    ):
        cli("label", "--port", "0", *options)
        items = served[-1].state()["items"]
        assert [not item["scores"] for item in items] == [hidden] * 4
        assert served[-1].state()["explains"] == (not hidden)
    codebook = served[-1].state()["codebook"]
    served[-1].save(Submission(id=items[0]["id"], topics=["trade"], note="", codebook=codebook))
    (line,) = read_lines(LABELS)
    assert (line.paragraph, line.draw) == (items[0]["id"], "paragraph")


def test_options_that_contradict_each_other_are_refused(small: Path, cli: Cli) -> None:
    for typed, message in (
        ("suggest --random --mixed", "--random and --mixed"),
        ("suggest --articles", "--random"),
        ("suggest --mixed --by article", "--by"),
        ("label --random --articles --by article", "--articles and --by"),
        ("suggest --random --by article=d", "values of article are a,"),
        ("suggest --random --by sorce", "--by sorce: there is no such column"),
        ("label sheet.csv --random", "sheet.csv already says"),
        ("label sheet.csv --topic trade", "sheet.csv already says"),
        ("suggest --topic trade --random", "--topic chooses paragraphs and --random"),
        ("suggest --contains a --mixed", "--contains chooses paragraphs and --mixed"),
        ("suggest --topic trad", 'unknown topic "trad" (did you mean "trade"?)'),
        ("suggest --contains zebra", "--contains zebra"),
        ("suggest --contains /(/", "--contains /(/"),
    ):
        assert message in cli(*typed.split(), status=1), typed


FIRST_TOPIC = next(iter(WORDS))  # Article a is about it.


def test_a_topic_is_searched_for(small: Path, cli: Cli) -> None:
    topic = FIRST_TOPIC
    drawn, articles, notes = drawn_by(cli, "--topic", topic, "--n", "6")
    assert drawn == [""] * 6 and articles[0] == "a" and Counter(articles)["a"] >= 3
    assert f"do not measure {topic}" in notes and DRAW in notes
    ids = [row["paragraph"] for row in read_sheet("sheet.csv")]
    # Only the scores of the topic are shown, also where another topic is more probable.
    assert {row["suggestion"] for row in read_sheet("sheet.csv")} == {topic}
    cli("predict", "sheet.csv", "--out", "predicted.csv")
    predicted = read_sheet("predicted.csv")
    assert [row["paragraph"] for row in predicted] == ids
    assert all(row["predicted_topic"] or float(row["confidence"]) for row in predicted)


def test_the_page_shows_the_results_of_a_search(
    small: Path, cli: Cli, served: list[Session]
) -> None:
    cli("suggest", "--topic", FIRST_TOPIC, "--n", "6", "--out", "sheet.csv")
    cli("label", "--port", "0", "--topic", FIRST_TOPIC, "--n", "6")
    shown = served[-1].state()["items"]
    ids = [row["paragraph"] for row in read_sheet("sheet.csv")]
    assert [item["id"] for item in shown] == ids
    assert len(shown[0]["scores"]) == len(WORDS)


def test_labels_of_a_search_measure_nothing(small: Path, cli: Cli) -> None:
    topic = FIRST_TOPIC
    cli("suggest", "--topic", topic, "--n", "6", "--out", "sheet.csv")
    chosen = read_sheet("sheet.csv")
    cli("suggest", "--random", "--n", "20", "--out", "random.csv")
    at_random = {row["paragraph"] for row in read_sheet("random.csv")}
    lines = [f"{id_},{topic},cy,2026-01-01,1 of 24\n" for id_ in at_random]
    lines += [f"{row['paragraph']},{topic},cy,2026-01-02,\n" for row in chosen]
    LABELS.write_text("paragraph,topics,annotator,when,drawn\n" + "".join(lines), encoding="utf-8")
    prepare(small)
    frame = read_labelled_paragraphs(Paths(small)).set_index("id")
    others = {row["paragraph"] for row in chosen} - at_random
    assert others and (frame["weight"][[*others]] == 0).all()
    assert (frame["weight"][[*at_random]] == 1).all()


def test_texts_are_searched_without_a_model(small: Path, cli: Cli) -> None:
    word = read_labelled_paragraphs(Paths(small))["text"].iloc[0].split()[0]
    notes = cli("suggest", "--contains", word.swapcase(), "--out", "sheet.csv")
    rows = read_sheet("sheet.csv")
    assert rows and all(word.casefold() in row["text"].casefold() for row in rows)
    assert f"{len(rows)} paragraphs to label" in notes
    assert {row["drawn"] + row["suggestion"] for row in rows} == {""}
    assert "predictions are hidden" in notes
    cli("suggest", "--contains", f"/^{word}/", "--topic", "trade", "--out", "sheet.csv")
    assert all(
        row["text"].startswith(word) and row["suggestion"] for row in read_sheet("sheet.csv")
    )
    shutil.rmtree(small / "models")
    assert word in cli("suggest", "--contains", word)
    cli("suggest", "--topic", "trade", status=1)


def test_a_sheet_that_nobody_filled_in_has_no_label(small: Path, cli: Cli) -> None:
    cli("suggest", "--random", "--out", "sheet.csv")
    printed = cli("import", "sheet.csv")
    assert "edit sheet.csv" in printed and "dvc repro" not in printed


def test_messages_call_texts_what_the_project_calls_them(small: Path, cli: Cli) -> None:
    edit_params("unit: paragraph", "unit: Satz/Sätze")
    assert "24 Sätze in 3 articles" in prepare(small)
    assert "2 Sätze to label" in cli("suggest", "--random", "--n", "2", "--out", "sheet.csv")
    for words, status in (
        (["suggest", "--topic", "trade", "--out", "sheet.csv"], 0),
        (["suggest", "--contains", "zebra"], 1),
        (["suggest", "--random", "--by", "article=a", "--out", "sheet.csv"], 0),
        (["import", "sheet.csv"], 0),
        (["status"], 0),
    ):
        assert "paragraph" not in cli(*words, status=status)


def test_topics_that_only_the_model_knows_are_named(small: Path, cli: Cli) -> None:
    assert "no longer in" not in drawn_by(cli)[2]
    edit_params("- name: trade\n", "- name: commerce\n", Paths().codebook)
    assert "codebook: trade" in drawn_by(cli)[2]


def test_a_group_is_drawn_from_at_random_and_says_so(
    small: Path, cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(small / "models")
    ids = read_labelled_paragraphs(Paths(small))["id"]
    LABELS.write_text(f"paragraph,topics\n{ids[9]},trade\n", encoding="utf-8")
    options = ["--random", "--by", "article=b", "--by", "article=a"]
    drawn, articles, _ = drawn_by(cli, *options, "--n", "9")
    # One of b has a label; the other article has the fewest.
    assert Counter(articles) == {"a": 5, "b": 4} and articles[0] == "a"
    assert {*zip(articles, drawn, strict=True)} == {
        (name, f"1 of 8 in article={name}") for name in "ab"
    }
    assert "the other paragraphs" in caplog.text
    assert ids[9] not in [row["paragraph"] for row in read_sheet("sheet.csv")]
    assert len(drawn_by(cli, *options, "--n", "99")[0]) == 15


def test_a_new_project_is_read_before_it_is_labelled(
    here: Path,
    cli: Cli,
    served: list[Session],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        assert words[1:] == ["-P", "-m", "dvc", "repro", "-q", "prepare"]
        refuses = not list(Path("seeds").glob("*.txt"))
        if not refuses:
            run_stages("prepare")
        return subprocess.CompletedProcess(words, int(refuses))

    create(here, new_topics(["trade", "security"]))
    monkeypatch.setattr("paratopic.cli.next_steps.subprocess.run", run)
    assert "stage prepare failed" in cli("label", "--random", status=1)
    Path("seeds/harbour.txt").write_text(ARTICLE, encoding="utf-8")
    printed = cli("label", "--random", "--annotator", "ann")
    assert len(served[0].items) == 3 and f"Next:\n  {DRAW}" in printed
    cli("label", "--annotator", "ann", status=1)
    assert "nothing is labelled yet" in caplog.text and DRAW in caplog.text
