"""`paratopic predict` and `paragraphs` as typed: output, messages and exit status."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic.inference.model import load
from paratopic.inference.modes import NEVER
from paratopic.project.errors import signed
from tests.documents import PAGE, altered, save
from tests.programs import Cli, Printed
from tests.samples import GERMAN, paragraph_table, write_labelled

TEXT = "Tariffs\n\nThe tariff on goods rose, and so did the quota.\n\nThe navy left the border.\n"


@pytest.fixture
def model(baseline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARATOPIC_MODEL", str(baseline_folder))
    return baseline_folder


@pytest.fixture
def article(tmp_path: Path) -> Path:
    return save(tmp_path, "news.txt", TEXT)


def lines_of(printed: Printed) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.out.splitlines()]


@pytest.mark.usefixtures("model")
def test_predict_prints_a_table_or_json_lines(cli: Cli, article: Path) -> None:
    table = cli("predict", article).out
    assert "news (baseline)" in table and "trade" in table and "security" in table
    assert "sure" in table and "✓" in table
    lines = lines_of(cli("predict", "--json", article))
    assert [line["topic"] for line in lines] == ["trade", "security"]
    assert [line["heading"] for line in lines] == ["Tariffs", "Tariffs"]
    assert lines[0]["confidence"] == lines[0]["scores"]["trade"]
    assert sum(lines[0]["scores"].values()) <= 1
    assert [line["sure"] for line in lines] == [True, True]


def test_only_sure_predictions_are_marked(
    cli: Cli, model: Path, article: Path, tmp_path: Path
) -> None:
    unsure = altered(
        model, tmp_path / "unsure", lambda manifest: manifest["calibration"].update(sure=NEVER)
    )
    table = cli("predict", "--model", unsure, article).out
    assert "trade" in table and "✓" not in table
    lines = lines_of(cli("predict", "--model", unsure, article, "--json"))
    assert [line["sure"] for line in lines] == [False, False]


def test_texts_in_a_language_that_the_model_is_not_for_are_counted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, model: Path, article: Path, tmp_path: Path
) -> None:
    english = altered(
        model, tmp_path / "english", lambda manifest: manifest.update(languages=["en"])
    )
    article.write_text(f"{TEXT}\n{GERMAN}\n", encoding="utf-8")
    warning = "warning: 1 of 3 texts seems to be German"
    for chosen, count in ((model, 0), (english, 1)):
        monkeypatch.setenv("PARATOPIC_MODEL", str(chosen))
        for words in (["--json"], [], ["--out", tmp_path / "out" / chosen.name]):
            printed = cli("predict", *words, article)
            assert printed.count(warning) == count
            if "--json" in words:
                languages = [line["text_language"] for line in lines_of(printed)]
                assert languages == ["en", None, "de"]  # The second is too short.


def test_why_shows_the_share_of_each_sentence(cli: Cli, model: Path, article: Path) -> None:
    article.write_text("The tariff on goods rose. It rained.\n", encoding="utf-8")
    why = lines_of(cli("predict", "--why", "--json", article))[0]["why"]
    first, second = why["sentences"]
    tariffs, rain = first["shares"]["trade"], second["shares"]["trade"]
    assert tariffs > 0 and tariffs > rain
    assert why["context"] == {}  # The model reads no context.
    printed = cli("predict", "--why", article).out
    assert f"{signed(tariffs, 2)} The tariff on goods rose." in printed
    assert f"{signed(rain, 2)} It rained." in printed and "context: " not in printed
    assert "--why" in cli("predict", "--why", article, "--out", "out", status=1).out
    article.write_text("It rained.\n", encoding="utf-8")
    (line,) = lines_of(cli("predict", "--why", "--json", article))
    assert line["topic"] is None
    best = max(line["scores"], key=line["scores"].get)
    assert line["confidence"] < line["why"]["named_from"][best]
    message = f"No topic: {best} has {line['confidence']:.0%} and is named"
    assert message in cli("predict", "--why", article).out


def test_paragraphs_of_an_article_are_read_with_context(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, context_model_folder: Path, article: Path
) -> None:
    article.write_text("Customs\n\nArmy\n\nA tariff.\n\nOfficials said so.\n\nThe navy.\n")
    texts = ["A tariff.", "Officials said so.", "The navy."]
    expected = load(context_model_folder).predict_article(texts, ["Army"] * 3, "Customs")
    words = ["predict", "--model", context_model_folder, article]
    lines = lines_of(cli(*words, "--json"))
    assert [line["scores"] for line in lines] == [answer.scores for answer in expected]
    headings = [(line["title"], line["heading"]) for line in lines]
    assert headings == [("Customs", "Customs / Army")] * 3
    assert "why" not in lines[0]
    explained = lines_of(cli(*words, "--json", "--why"))
    for line, answer in zip(explained, expected, strict=True):
        assert line["scores"] == pytest.approx(answer.scores)
    whys = [line["why"] for line in explained]
    parts = [{"title", "heading", "after"}, {"title", "heading", "before", "after"}]
    assert [set(why["context"]) for why in whys[:2]] == parts
    monkeypatch.setenv("COLUMNS", "120")
    printed = cli(*words, "--why").out
    assert printed.count("context: ") == 3
    topic = max(expected[1].scores, key=expected[1].scores.__getitem__)
    around = (f"{part} {signed(share[topic], 2)}" for part, share in whys[1]["context"].items())
    assert f"context: {', '.join(around)}" in printed


@pytest.mark.usefixtures("model")
def test_why_shows_the_nearest_labelled_paragraphs_of_the_project(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, article: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")

    def nearest() -> list[dict[str, Any]]:
        first, *_ = lines_of(cli("predict", "--why", article, "--json"))
        return list(first["why"]["nearest"])

    assert nearest() == []  # This is outside of a project.
    columns = {name: rows[name] for name in ("id", "article", "text", "label_source")}
    labelled = paragraph_table(**columns, label=rows["topic"])
    write_labelled(labelled.assign(label_source="none", label=None), tmp_path)
    assert nearest() == []
    write_labelled(labelled, tmp_path)
    article.write_text(f"{rows['text'][3]}\n", encoding="utf-8")
    first, second, third = nearest()
    assert (first["id"], first["topics"], first["text"]) == ("p03", ["trade"], rows["text"][3])
    assert first["similarity"] == pytest.approx(1)
    assert 1 > second["similarity"] >= third["similarity"] > 0
    monkeypatch.setenv("COLUMNS", "200")
    assert "≈ 1.00 trade (p03): " in cli("predict", "--why", article).out
    (tmp_path / "data/paragraphs.parquet").write_bytes(b"PAR1")
    shown = cli("predict", "--why", article)
    assert "≈" not in shown.out
    assert "not shown: " in shown.err and "is damaged" in shown.err


@pytest.mark.usefixtures("model")
def test_predict_reads_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert lines_of(cli("predict", "--json", "-"))[0]["article"] == "stdin"


def test_paragraphs_prints_lines_for_the_labels_file(cli: Cli, article: Path) -> None:
    lines = list(csv.reader(io.StringIO(cli("paragraphs", article).out)))
    assert [(line[0].partition(":")[0], line[1]) for line in lines] == [("news", "?")] * 2
    assert lines[0][2] == "The tariff on goods rose, and so did the quota."
    save(article.parent, "news.md", TEXT)
    printed = cli("paragraphs", article, article.with_suffix(".md"), status=1)
    assert "news.md: " in printed.out


def test_skipped_parts_and_other_files_are_listed_on_stderr(
    cli: Cli, model: Path, tmp_path: Path
) -> None:
    page = save(tmp_path, "news.html", PAGE)
    (tmp_path / "notes.odt").touch()
    printed = cli("paragraphs", tmp_path)
    assert len(printed.out.splitlines()) == 3 and "Jane" not in printed.out
    assert f"{page}: skipped (byline): By Jane Doe, Reuters" in printed.err
    assert f"{page}: skipped (navigation): Home | World | Sport" in printed.err
    assert f"{tmp_path / 'notes.odt'}: not read" in printed.err
    printed = cli("predict", "--json", page)
    assert [line["position"] for line in lines_of(printed)] == [0, 1, 2]
    assert "skipped (footer)" in printed.err


def test_mistakes_are_reported_without_a_traceback(
    cli: Cli, baseline_folder: Path, article: Path, here: Path
) -> None:
    save(here, "empty.txt", "")
    for words, message in (
        (["predict", article], "dvc repro"),
        (["predict", "--model", "gone", article], "does not exist"),
        (["predict", "--model", baseline_folder, "gone.txt"], "gone.txt: no such file. Check"),
        (["predict", "--model", baseline_folder, "A sentence. " * 99], "| paratopic predict -`"),
        (["predict", "--model", baseline_folder, "empty.txt"], "empty.txt"),
        (["predict", article, "--json", "--out", "o"], "--json"),
        (["predict", article, "--resume"], "--resume continues what --out names"),
        (["predict", article, "--model", baseline_folder, "--out", "."], "a folder"),
        (["report"], "not a paratopic project"),
    ):
        assert message in cli(*words, status=1).out
