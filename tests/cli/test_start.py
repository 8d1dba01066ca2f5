"""`paratopic init --table`: a project that learns from a table."""

from __future__ import annotations

import subprocess
from pathlib import Path

import datasets
import pandas as pd
import pytest

from paratopic.corpus.answers import read_labelled_paragraphs
from paratopic.corpus.metadata import read_metadata
from paratopic.project.params import read_params
from paratopic.project.paths import METADATA
from paratopic.project.sources import Source
from paratopic.stages import prepare
from tests.documents import write_table
from tests.programs import run_cli

N = 40
TABLE = pd.DataFrame(
    {
        "id": [f"s{n}" for n in range(N)],
        "date": [f"{1990 + n // 3}" for n in range(N)],
        "speaker": [("Ann", "Bo")[n % 2] for n in range(N)],
        "body": [f"Sentence {n} says at some length what it is about." for n in range(N)],
        "topic": [("Foreign Trade", "Law; order", "Other", "")[n % 4] for n in range(N)],
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_a_project_starts_with_a_table(
    suffix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    table = TABLE.astype({"date": int}) if suffix == ".parquet" else TABLE
    path = write_table(table, Path(f"speeches{suffix}"))
    assert run_cli(monkeypatch, "init", "--table", str(path)) == 0
    assert capsys.readouterr().out.splitlines()[:12] == [
        f"{path}: 40 rows. They are read as follows:",
        "  text   column body: 49 characters on average",
        "  label  column topic: 30 rows are labelled, 10 are not",
        "  group  column date: 14 groups; a split never divides a group (no column names the "
        "article)",
        "  id     column id: ids of paragraphs, such as speeches:s0",
        "  date   column date: 1990 to 2003",
        "  kept   speaker",
        "  topic  Foreign Trade: 10 rows",
        "  topic  Law, order: 10 rows, labelled Law; order",
        "  none   of the topics: 10 rows, labelled Other",
        "This folder is now a paratopic project.",
        "Next:",
    ]
    params = read_params()
    assert params.topics.codebook == ("Foreign Trade", "Law, order")
    (source,) = params.prepare.sources
    labels = {"Law; order": "Law, order", "Other": "none"}
    assert source == Source(str(path), text="body", label="topic", group="date", labels=labels)
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    assert str(path) in tracked.stdout.splitlines()
    prepare.main()
    frame = read_labelled_paragraphs()
    assert frame["label_source"].value_counts().to_dict() == {"hand": 30, "none": 10}
    about = read_metadata(METADATA)
    assert list(about) == ["id", "date", "speaker"] and about["id"][1] == "speeches:s1"


def test_a_table_elsewhere_without_labels_needs_topics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    TABLE[["body"]].to_csv("speeches.csv", index=False)
    words = ["init", "new", "--table", "speeches.csv"]
    assert run_cli(monkeypatch, *words) == 1
    assert "no column looks like labels; name the topics" in capsys.readouterr().out
    assert run_cli(monkeypatch, *words, "--topics", "trade,security") == 0
    printed = capsys.readouterr().out
    assert "group  no column: each row counts as an article of its own" in printed
    assert "cd new" in printed and "paratopic label --random" in printed
    params = read_params(Path("new/params.yaml"))
    table = str(tmp_path / "speeches.csv")
    assert params.prepare.sources == (Source(table, text="body", label=None),)
    assert params.topics.descriptions == ("Trade.", "Security.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the topics (--topics sport,weather), or take them"),
        (["--table", "t.csv", "--topics", "a,b"], "labels in its column topic become the topics"),
        (["--table", "t.txt"], r"--table t.txt: a table can be .csv, .xlsx, .jsonl, .parquet"),
        (["--table", "gone.csv"], "gone.csv cannot be read: No such file"),
        (["--table", "empty.csv"], "empty.csv, row 3: the text is empty; remove the row"),
    ],
)
def test_nothing_is_written_where_something_is_missing(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("t.csv", index=False)
    TABLE.replace({"body": {TABLE["body"][1]: ""}}).to_csv("empty.csv", index=False)
    assert run_cli(monkeypatch, "init", "new", *words) == 1
    assert message in capsys.readouterr().out
    assert not Path("new").exists()


def test_dates_and_columns_that_cannot_be_read_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    dates = [("2025-02-01", "March 2024", "2024-01-05")[n % 3] for n in range(N)]
    TABLE.assign(date=dates, position="first").to_csv("t.csv", index=False)
    assert run_cli(monkeypatch, "init", "new", "--table", "t.csv") == 0
    printed = capsys.readouterr().out
    assert "column date: 2024-01-05 to 2025-02-01, and" in printed
    assert "position not read: the column position does not have what is expected" in printed


def test_a_project_starts_with_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = {"text": [f"Speech {n}." for n in range(12)], "label": [n % 2 for n in range(12)]}
    names = datasets.ClassLabel(names=["Trade", "Sports; Culture"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    data = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict(train=data, test=data).save_to_disk("new/speeches")
    assert (
        run_cli(
            monkeypatch, "init", "new", "--table", "dataset://new/speeches?split=test&sample=500"
        )
        == 0
    )
    assert "topic  Sports, Culture: 6 rows, labelled Sports; Culture" in capsys.readouterr().out
    (source,) = read_params(Path("new/params.yaml")).prepare.sources
    meant = {"Sports; Culture": "Sports, Culture"}
    assert source == Source("dataset://speeches?split=test&sample=500", labels=meant)
    words = ["init", "other", "--table", "dataset://new/speeches?text=text"]
    assert run_cli(monkeypatch, *words) == 1
    assert "leave out text: which columns are meant is proposed" in capsys.readouterr().out
