"""`paratopic predict`, `paragraphs` and `report` as typed: output, messages and exit status."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic.cli import predict
from paratopic.inference.folder import MANIFEST
from paratopic.inference.loading import load
from paratopic.inference.promise import NEVER
from tests.documents import PAGE
from tests.programs import run_cli
from tests.samples import GERMAN, paragraph_table, write_labelled

TEXT = "Tariffs\n\nThe tariff on goods rose, and so did the quota.\n\nThe navy left the border.\n"


@pytest.fixture
def model(baseline_folder: Path) -> Path:
    return baseline_folder


@pytest.fixture
def unsure_folder(model: Path, tmp_path: Path) -> Path:
    """The same model, of whose predictions nothing is promised."""
    folder = tmp_path / "unsure"
    shutil.copytree(model, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["calibration"]["sure"] = NEVER
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture
def article(tmp_path: Path) -> Path:
    path = tmp_path / "news.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_predict_prints_a_table_or_json_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path, article: Path
) -> None:
    monkeypatch.setenv("PARATOPIC_MODEL", str(model))
    assert run_cli(monkeypatch, "predict", str(article)) == 0
    table = capsys.readouterr().out
    assert "news (baseline)" in table and "trade" in table and "security" in table
    assert "sure" in table and "✓" in table
    assert run_cli(monkeypatch, "predict", "--json", str(article)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["topic"] for line in lines] == ["trade", "security"]
    assert [line["heading"] for line in lines] == ["Tariffs", "Tariffs"]
    assert lines[0]["confidence"] == lines[0]["scores"]["trade"]
    assert sum(lines[0]["scores"].values()) <= 1
    assert [line["sure"] for line in lines] == [True, True]


def test_texts_in_a_language_that_the_model_is_not_for_are_counted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: Path,
    article: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "english"
    shutil.copytree(model, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["languages"] = ["en"]
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    article.write_text(f"{TEXT}\n{GERMAN}\n", encoding="utf-8")
    warning = "warning: 1 of 3 texts seems to be German, but the model is for English"
    out = tmp_path / "out"
    for chosen, count in ((model, 0), (folder, 1)):
        monkeypatch.setenv("PARATOPIC_MODEL", str(chosen))
        for words in (["--json"], [], ["--out", str(out / chosen.name)]):
            assert run_cli(monkeypatch, "predict", *words, str(article)) == 0
            printed = capsys.readouterr()
            assert (printed.out + printed.err).count(warning) == count
            if "--json" in words:
                lines = printed.out.splitlines()
                languages = [json.loads(line)["text_language"] for line in lines]
                assert languages == ["en", None, "de"]  # the second is short
    article.write_text(f"{TEXT}\nZeitgeist\n\n3295-F1-P.\n", encoding="utf-8")
    read: list[str] = []
    monkeypatch.setattr(predict, "language_of", read.append)  # no language
    assert run_cli(monkeypatch, "predict", "--json", str(article)) == 0
    printed = capsys.readouterr()
    assert "warning" not in printed.err
    assert read == [json.loads(line)["text"] for line in printed.out.splitlines()]  # once each


def test_why_shows_what_each_sentence_adds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path, article: Path
) -> None:
    monkeypatch.setenv("PARATOPIC_MODEL", str(model))
    article.write_text("The tariff on goods rose. It rained.\n", encoding="utf-8")
    assert run_cli(monkeypatch, "predict", "--why", "--json", str(article)) == 0
    line = json.loads(capsys.readouterr().out)
    tariffs, rain = (sentence["shares"]["trade"] for sentence in line["why"]["sentences"])
    assert tariffs > 0 and tariffs > rain
    assert line["why"]["base"]["trade"] + tariffs + rain == pytest.approx(
        line["why"]["logits"]["trade"]
    )
    assert run_cli(monkeypatch, "predict", "--why", str(article)) == 0
    printed = capsys.readouterr().out
    assert f"{tariffs:+.2f} The tariff on goods rose." in printed
    assert f"{rain:+.2f} It rained." in printed
    out = ("--out", str(article.parent / "out"))
    assert run_cli(monkeypatch, "predict", "--why", str(article), *out) == 1
    assert "--why" in "".join(capsys.readouterr())


def test_paragraphs_of_an_article_are_read_with_what_stands_around_them(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reading_folder: Path,
    article: Path,
) -> None:
    article.write_text("Customs\n\nArmy\n\nA tariff.\n\nOfficials said so.\n\nThe navy.\n")
    loaded = load(reading_folder)
    texts = ["A tariff.", "Officials said so.", "The navy."]
    expected = loaded.predict_article(texts, ["Army"] * 3, "Customs")
    words = ["predict", "--model", str(reading_folder), str(article)]
    assert run_cli(monkeypatch, *words, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["scores"] for line in lines] == [answer.scores for answer in expected]
    assert [(line["title"], line["heading"]) for line in lines] == [
        ("Customs", "Customs / Army")
    ] * 3
    assert "why" not in lines[0]
    assert run_cli(monkeypatch, *words, "--json", "--why") == 0
    explained = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, answer in zip(explained, expected, strict=True):
        assert line["scores"] == pytest.approx(answer.scores)
    whys = [line["why"] for line in explained]
    parts = [{"title", "heading", "after"}, {"title", "heading", "before", "after"}]
    assert [set(why["context"]) for why in whys[:2]] == parts
    for why in whys:
        for topic, logit in why["logits"].items():
            shares = [sentence["shares"][topic] for sentence in why["sentences"]]
            shares += [share[topic] for share in why["context"].values()]
            assert why["base"][topic] + sum(shares) == pytest.approx(logit)
    monkeypatch.setenv("COLUMNS", "120")
    assert run_cli(monkeypatch, *words, "--why") == 0
    printed = capsys.readouterr().out
    assert printed.count("context: ") == 3
    shown = {part: share for part, share in whys[1]["context"].items()}
    topic = max(expected[1].scores, key=expected[1].scores.__getitem__)
    around = ", ".join(f"{part} {share[topic]:+.2f}" for part, share in shown.items())
    assert f"context: {around}" in printed


def test_of_a_model_that_reads_texts_alone_nothing_around_them_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path, article: Path
) -> None:
    words = ["predict", "--why", "--model", str(model), str(article)]
    assert run_cli(monkeypatch, *words) == 0
    assert "around it" not in capsys.readouterr().out
    assert run_cli(monkeypatch, *words, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["why"]["context"] for line in lines] == [{}, {}]


def test_why_shows_the_nearest_labelled_paragraphs_of_the_project(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: Path,
    article: Path,
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    command = ["predict", "--why", "--model", str(model), str(article)]

    def nearest() -> list[dict[str, Any]]:
        assert run_cli(monkeypatch, *command, "--json") == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out.splitlines()[0])["why"][
            "nearest"
        ]
        return found

    assert nearest() == []  # outside a project
    given = {name: rows[name] for name in ("id", "article", "text", "label_source")}
    labelled = paragraph_table(**given, topics=rows["topic"])
    unlabelled = labelled.assign(label_source="none", topics=None)
    write_labelled(unlabelled, tmp_path)
    assert nearest() == []
    write_labelled(labelled, tmp_path)
    article.write_text(f"{rows['text'][3]}\n", encoding="utf-8")
    first, second, third = nearest()
    assert (first["id"], first["topics"], first["text"]) == ("p03", ["trade"], rows["text"][3])
    assert first["similarity"] == pytest.approx(1)
    assert 1 > second["similarity"] >= third["similarity"] > 0
    monkeypatch.setenv("COLUMNS", "200")
    assert run_cli(monkeypatch, *command) == 0
    assert "≈ 1.00 trade (p03): " in capsys.readouterr().out
    (tmp_path / "data/paragraphs.parquet").write_bytes(b"PAR1")
    assert run_cli(monkeypatch, *command) == 0
    shown = capsys.readouterr()
    assert "≈" not in shown.out
    assert "labelled paragraphs are not shown: " in shown.err and "is damaged" in shown.err


def test_predictions_that_are_not_sure_have_no_mark(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    unsure_folder: Path,
    article: Path,
) -> None:
    words = ["predict", "--model", str(unsure_folder), str(article)]
    assert run_cli(monkeypatch, *words) == 0
    table = capsys.readouterr().out
    assert "trade" in table and "✓" not in table
    assert run_cli(monkeypatch, *words, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["sure"] for line in lines] == [False, False]


@pytest.mark.parametrize("options", [[], ["--why"]])
def test_predict_imports_no_package_of_training(
    model: Path, article: Path, options: list[str]
) -> None:
    program = (
        "import sys\n"
        "from paratopic.cli.app import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'mlflow', 'pandas', 'matplotlib', 'ray'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    words = ["predict", "--model", str(model), str(article), *options]
    run = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=article.parent,
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_predict_reads_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert run_cli(monkeypatch, "predict", "--json", "--model", str(model), "-") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["article"] == "stdin"


def test_paragraphs_prints_lines_for_the_labels_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], article: Path
) -> None:
    assert run_cli(monkeypatch, "paragraphs", str(article)) == 0
    lines = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [(line[0].partition(":")[0], line[1]) for line in lines] == [("news", "?")] * 2
    assert lines[0][2] == "The tariff on goods rose, and so did the quota."


def test_skipped_parts_and_other_files_are_listed_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path
) -> None:
    (tmp_path / "news.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "notes.odt").touch()
    assert run_cli(monkeypatch, "paragraphs", str(tmp_path)) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3 and "Jane" not in printed.out
    page = tmp_path / "news.html"
    assert f"{page}: skipped (byline): By Jane Doe, Reuters" in printed.err
    assert f"{page}: skipped (navigation): Home | World | Sport" in printed.err
    assert f"{tmp_path / 'notes.odt'}: not read (a file of another kind)" in printed.err
    assert run_cli(monkeypatch, "predict", "--json", "--model", str(model), str(page)) == 0
    printed = capsys.readouterr()
    assert [json.loads(line)["position"] for line in printed.out.splitlines()] == [0, 1, 2]
    assert "skipped (footer)" in printed.err


def test_two_articles_with_one_name_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], article: Path
) -> None:
    article.with_suffix(".md").write_text(TEXT, encoding="utf-8")
    assert run_cli(monkeypatch, "paragraphs", str(article), str(article.with_suffix(".md"))) == 1
    assert "news.md: another file is also named news" in capsys.readouterr().out


def test_mistakes_are_reported_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: Path,
    article: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = tmp_path / "empty.txt"
    empty.touch()
    for words, message in (
        (["predict", str(article)], "dvc repro"),
        (["predict", "--model", str(tmp_path / "gone"), str(article)], "does not exist"),
        (["predict", "--model", str(model), "gone.txt"], "gone.txt"),
        (["predict", "--model", str(model), str(empty)], "empty.txt"),
        (["report"], "dvc repro"),
    ):
        assert run_cli(monkeypatch, *words) == 1
        assert message in capsys.readouterr().out
