"""`paratopic init`: start a project, with or without a table."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any, cast

import datasets
import pandas as pd
import pytest
from openpyxl import load_workbook

from paratopic.cli.start import COPIED, create, new_topics
from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import read_parquet
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.project.params import read_params
from paratopic.project.source_settings import Source
from paratopic.stages import prepare
from tests.documents import save, write_table
from tests.programs import ROOT, Cli
from tests.samples import PARAMS

NAMES = ["sport", "diplomacy_venue", "Öffentliche: Räume", "true", "sun ☀ and 😀"]

AB = new_topics(["a", "b"])


def test_a_new_project_differs_only_by_topics_and_language(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    save(tmp_path / "seeds", "match.txt", "The visitors won.")
    create(tmp_path, new_topics(NAMES))
    params = read_params(tmp_path / "params.yaml")
    assert params.topics.names == tuple(NAMES)
    assert list(params.topics.descriptions[:2]) == ["Sport.", "Diplomacy venue."]
    # The language of its texts is not known.
    assert params.language is None
    assert replace(params, topics=PARAMS.topics, language=PARAMS.language) == PARAMS
    assert (tmp_path / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert (tmp_path / "seeds" / "labels.csv").read_text() == "paragraph,topics,text\n"
    assert (tmp_path / "seeds" / "match.txt").read_text() == "The visitors won."
    assert (tmp_path / ".dvc" / "stage.sh").exists() and (tmp_path / ".git").exists()
    assert not {"cache", "tmp"} & {path.name for path in (tmp_path / ".dvc").iterdir()}
    assert (tmp_path / "README.md").read_text().startswith(f"# {tmp_path.name}\n")


def test_the_wheel_has_the_files_that_are_copied() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    target = settings["tool"]["hatch"]["build"]["targets"]
    for source, place in target["wheel"]["force-include"].items():
        assert (ROOT / source).exists() and place == f"paratopic/template/{source}"
    packed = set(target["wheel"]["force-include"])
    for file in git(ROOT, "ls-files", *COPIED, "params.yaml", "seeds/codebook.yaml").splitlines():
        assert any(file == source or file.startswith(f"{source}/") for source in packed), file
        top = file.partition("/")[0]
        assert file in target["sdist"]["include"] or top in target["sdist"]["include"], file


def test_inside_a_repository_and_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "--quiet")
    create(tmp_path / "inner", AB)
    assert not (tmp_path / "inner" / ".git").exists()
    message = create(tmp_path / "other", AB)
    assert "Experiments start from a commit: git add dvc.yaml" in message
    assert message.count(" seeds ") == 1
    assert git(tmp_path, "status", "--short").startswith("??")

    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", fail)
    assert "Without git" in create(tmp_path / "without", AB)
    assert "no_scm = true" in (tmp_path / "without" / ".dvc" / "config").read_text()


def git(folder: Path, *words: str) -> str:
    words = ("git", *words)
    return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("user", ["Ann", ""])
def test_the_first_commit_has_all_that_an_experiment_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """This holds if git knows no user, and if hooks refuse commits."""
    config = tmp_path / "config"
    config.write_text("[user]\nuseConfigOnly = true\n[core]\nhooksPath = hooks\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    if user:
        config.write_text(f"{config.read_text()}[user]\nname = {user}\nemail = ann@example.org\n")
    folder = tmp_path / "new"
    for name in ("hooks", "seeds"):
        (folder / name).mkdir(parents=True)
    save(folder / "hooks", "pre-commit", "#!/bin/sh\nexit 1\n").chmod(0o755)
    save(folder / "seeds", "match.txt", "The visitors won.")
    assert ("git knows no user" in create(folder, AB)) == (not user)
    assert git(folder, "log", "--format=%an %s") == f"{user or 'paratopic'} Start the project\n"
    assert git(folder, "status", "--short") == "?? hooks/\n"
    assert "seeds/match.txt" in git(folder, "ls-files")
    assert not git(folder, "config", "--list", "--local").count("user.")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"params.yaml would be overwritten"):
        create(tmp_path, AB)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("name", ["dvc.yaml", "seeds"])
def test_nothing_is_written_where_a_link_leads(tmp_path: Path, name: str) -> None:
    folder, elsewhere = tmp_path / "new", tmp_path / "elsewhere"
    for path in (folder, elsewhere):
        path.mkdir()
    (folder / name).symlink_to(elsewhere / name if name == "dvc.yaml" else elsewhere)
    with pytest.raises(UserError, match=r"would be overwritten|outside of the project"):
        create(folder, AB)
    assert len(list(folder.iterdir())) == 1 and not list(elsewhere.iterdir())


N = 40


def in_turn(*values: Any) -> list[Any]:
    """N values, which repeat these in turn."""
    return [values[n % len(values)] for n in range(N)]


TABLE = pd.DataFrame(
    {
        "id": [f"s{n}" for n in range(N)],
        "date": [f"{1990 + n // 3}" for n in range(N)],
        "speaker": in_turn("Ann", "Bo"),
        "body": [f"Sentence {n} says at some length what it is about." for n in range(N)],
        "topic": in_turn("Foreign Trade", "Law; order", "Other", ""),
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_a_project_starts_with_a_table(suffix: str, cli: Cli, here: Path) -> None:
    table = TABLE.astype({"date": int}) if suffix == ".parquet" else TABLE
    path = write_table(table, Path(f"speeches{suffix}"))
    printed = cli("init", "--table", path).out
    for line in (
        f"{path}: 40 rows",
        "  text   column body: 49 characters",
        "  label  column topic: 30 rows are labelled, 10 are not",
        "  group  column date: 14 articles",
        "  id     column id: ids of paragraphs, such as speeches:s0",
        "  date   column date: 1990 to 2003",
        "  kept   speaker",
        "  topic  Foreign Trade: 10 rows",
        "  topic  Law, order: 10 rows, labelled Law; order",
        "  none   of the topics: 10 rows, labelled Other",
        "Next:",
    ):
        assert f"\n{line}" in f"\n{printed}"
    params = read_params(Paths().params)
    assert params.topics.codebook == ("Foreign Trade", "Law, order")
    (source,) = params.prepare.sources
    labels = {"Law; order": "Law, order", "Other": "none"}
    assert source == Source(str(path), text="body", label="topic", group="date", labels=labels)
    assert str(path) in git(here, "ls-files").splitlines()
    prepare.main(Project())
    frame = read_labelled_paragraphs(Paths())
    assert frame["label_source"].value_counts().to_dict() == {"hand": 30, "none": 10}
    about = read_parquet(Paths().metadata)
    assert list(about) == ["id", "date", "speaker"] and about["id"][1] == "speeches:s1"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_with_lists_of_labels_and_missing_ones(suffix: str, cli: Cli, here: Path) -> None:
    lists = in_turn(["trade"], ["law", "trade"], [], ["NA"], ["law"])
    path = write_table(TABLE.assign(topic=pd.Series(lists)), Path(f"speeches{suffix}"))
    printed = cli("init", "--table", path).out
    assert "mode   multi: some rows" in printed and "no label: rows labelled NA" in printed
    topics = read_params(Paths().params).topics
    assert (topics.mode, topics.names) == ("multi", ("law", "trade"))
    prepare.main(Project())
    labels = read_labelled_paragraphs(Paths())["label"].iloc[:4].tolist()
    assert list(map(list, labels[:3])) == [["trade"], ["law", "trade"], []] and labels[3] is None


def test_articles_may_stay_where_they_are(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = here / "texts"
    folder.mkdir()
    (folder / "talks.txt").write_text("Talks went on in Geneva.\n\nTariffs rose again.\n")
    printed = cli("init", "new", "--topics", "trade,security", "--articles", "texts").out
    assert f"create {folder}/metadata.csv" in printed and "cp ARTICLES" not in printed
    (folder / "metadata.csv").write_text("article,source\ntalks,wire\n")
    other = cli("init", "other", "--topics", "trade,security", "--articles", "texts").out
    assert "metadata.csv" not in other
    monkeypatch.chdir("new")
    prepare.main(Project())
    assert read_labelled_paragraphs(Paths())["article"].tolist() == ["talks", "talks"]


def test_a_note_on_a_table_that_is_read_twice_is_printed_once(cli: Cli, here: Path) -> None:
    book = load_workbook(write_table(TABLE, Path("speeches.xlsx")))
    book.active.row_dimensions[3].hidden = True
    book.save("speeches.xlsx")
    assert cli("init", "new", "--table", "speeches.xlsx").count("1 hidden row") == 1


def test_a_table_is_a_random_sample(cli: Cli, here: Path) -> None:
    path = write_table(TABLE, Path("speeches.csv"))
    assert "add --table" in cli("init", "--topics", "a,b", "--random", status=1)
    printed = cli("init", "--table", path, "--random").out
    assert "label --random --by COLUMN --n 60  " in printed
    assert cast(Source, read_params(Paths().params).prepare.sources[0]).random
    prepare.main(Project())
    frame = read_labelled_paragraphs(Paths())
    assert (frame["draw"] == "paragraph").tolist() == (frame["label_source"] == "hand").tolist()


def test_a_table_elsewhere_without_labels_needs_topics(cli: Cli, here: Path) -> None:
    TABLE[["body"]].to_csv("speeches.csv", index=False)
    words = ["init", "new", "--table", "speeches.csv"]
    assert "speeches.csv: " in cli(*words, status=2).out
    printed = cli(*words, "--topics", "trade,security").out
    assert "group  no column" in printed
    steps = re.findall(r"(?m)^  (\S.*?)  ", printed.partition("Next:\n")[2])
    first = ["cd new", "check params.yaml", "edit seeds/codebook.yaml"]
    assert steps[:-2] == [*first, "paratopic label --random --n 60", "dvc repro"]
    params = read_params(Path("new/params.yaml"))
    table = str(here / "speeches.csv")
    assert params.prepare.sources == (Source(table, text="body", label=None),)
    assert params.topics.descriptions == ("Trade.", "Security.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--topics sport,weather"),
        (["--table", "t.csv", "--topics", "a,b"], "its column topic"),
        (["--table", "t.txt"], r"--table t.txt: a table can be .csv, .xlsx, .jsonl, .parquet"),
        (["--table", "gone.csv"], "gone.csv cannot be read: No such file"),
        (["--table", "empty.csv"], "empty.csv, row 3: the text is empty; remove the row"),
        (["--topics", "sport"], "two topics"),
        (["--topics", "sport,,weather"], "--topics: ''"),
        (["--topics", "sport,sport"], "twice: sport"),
        (["--topics", "a;b,c"], "--topics: 'a;b'"),
        (["--topics", "a,b", "--articles", "gone"], "gone matches no file"),
        (["--table", "t.csv", "--articles", "."], "--table and --articles"),
    ],
)
def test_nothing_is_written_where_something_is_missing(
    words: list[str], message: str, cli: Cli, here: Path
) -> None:
    TABLE.to_csv("t.csv", index=False)
    TABLE.replace({"body": {TABLE["body"][1]: ""}}).to_csv("empty.csv", index=False)
    assert message in cli("init", "new", *words, status=1).out
    assert not Path("new").exists()


def test_dates_and_columns_that_cannot_be_read_are_noted(cli: Cli, here: Path) -> None:
    dates = in_turn("2025-02-01", "spring 2024", "2024-01-05")
    TABLE.assign(date=dates, position="first").to_csv("t.csv", index=False)
    printed = cli("init", "new", "--table", "t.csv").out
    assert "column date: 2024-01-05 to 2025-02-01, and" in printed
    assert "position not read" in printed


def test_named_topics_leave_no_column_to_guess(cli: Cli, here: Path) -> None:
    table = pd.DataFrame({"text": [f"Speech {n}." for n in range(40)], "stance": ["A", "B"] * 20})
    table.to_csv("t.csv", index=False)
    table.assign(label="").to_csv("empty.csv", index=False)
    printed = cli("init", "guessed", "--table", "t.csv").out
    assert "topic  A: 20 rows" in printed
    again = "`paratopic init guessed --table t.csv --again --topics sport,weather`"
    assert "stance" in printed and again in printed
    for name in ("t", "empty"):
        cli("init", name, "--table", f"{name}.csv", "--topics", "trade,security")
        params = read_params(Path(name) / "params.yaml")
        (source,) = params.prepare.sources
        assert isinstance(source, Source) and source.label is None
        assert params.topics.names == ("trade", "security")
    assert "  stance: A, B\n" in cli("init", "other", "--table", "empty.csv", status=2).out


def test_where_no_column_clearly_has_the_labels_init_asks(cli: Cli, here: Path) -> None:
    texts = [f"Speech {n}." for n in range(N)]
    table = pd.DataFrame({"text": texts, "party": in_turn("left", "right")})
    table = table.assign(trade=in_turn(True, False), law=in_turn(False, True))
    table.to_csv("my table.csv", index=False)
    words = ["init", "new", "--table", "my table.csv"]
    printed = cli(*words, status=2).out
    for line in (
        "my table.csv: ",
        "  party: left, right\n",
        "  trade, law: yes or no",
        "  paratopic init new --table 'my table.csv' --label COLUMN  ",
        "  paratopic init new --table 'my table.csv' --topics sport,weather  ",
    ):
        assert f"\n{line}" in f"\n{printed}"
    assert not Path("new").exists()
    assert 'no such column (did you mean "party"?)' in cli(*words, "--label", "partly", status=1)
    assert "topic  left: 20 rows" in cli(*words, "--label", "party").out


def test_possible_mistakes_in_the_labels_are_noted(cli: Cli, here: Path) -> None:
    topic = in_turn("law", "trade", "law|trade", "law, order")
    label = TABLE["body"] + " It is long."
    TABLE.assign(topic=topic, code=topic, label=label).to_csv("t.csv", index=False)
    assert "rename" in cli("init", "new", "--table", "t.csv", "--topics", "a,b", status=1)
    printed = cli("init", "new", "--table", "t.csv").out
    for note in (
        *("label  not read: the column label", "note   code", "note   law, order is one topic"),
        *("`paratopic init new --table t.csv --again", "note   cells such as law|trade"),
    ):
        assert note in printed


def test_rare_labels_that_resemble_a_frequent_one_are_noted(cli: Cli, here: Path) -> None:
    topic = ["law", "trade"] * 19 + ["law", "trdae"]
    TABLE.assign(topic=topic, title="A title").to_csv("t.csv", index=False)
    printed = cli("init", "new", "--table", "t.csv").out
    assert 'note   trdae: 1 row (did you mean "trade"?)' in printed
    assert "title  column title: models read it with the text" in printed


def test_a_column_of_many_labels_is_listed_in_part(cli: Cli, here: Path) -> None:
    rows = pd.concat([TABLE, TABLE], ignore_index=True).drop(columns="id")
    rows.assign(topic=[f"label {n}" for n in range(80)]).to_csv("t.csv", index=False)
    printed = cli("init", "new", "--table", "t.csv", "--label", "topic").out
    assert printed.count("  topic  ") == 50 and "  and 30 other topics\n" in printed
    assert "topic has 80 different labels in 80 rows" in printed


WORDS = ["init", "--table", "t.csv", "--topics", "law,peace"]
LINES = "paragraph,topics,text\nt:s1,law,\nt:s2,army,\n"


@pytest.fixture
def old_project(cli: Cli, here: Path) -> None:
    """A project with topics law, trade and army, and a table that is no source yet."""
    write_table(TABLE[["id", "body"]], Path("t.csv"))
    cli("init", "--topics", "law,trade,army")
    Path("seeds/labels.csv").write_text(LINES)


@pytest.mark.usefixtures("old_project")
def test_topics_and_sources_of_a_project_are_replaced_and_labels_stay(cli: Cli) -> None:
    params, codebook = Path("params.yaml"), Paths().codebook
    codebook.write_text(codebook.read_text().replace("Law.", "Courts and bills."))
    params.write_text(params.read_text().replace("language: null", "language: en"))
    assert "--again" in cli(*WORDS, status=1)
    printed = cli(*WORDS, "--again").out
    assert "topics were   law, trade, army\n  sources were  seeds\n" in printed
    assert "1 label in seeds/labels.csv" in printed
    after = read_params(Paths().params)
    assert after.topics.descriptions == ("Courts and bills.", "Peace.")
    assert after.topics.retired == {"army": ()} and after.language == "en"
    assert after.prepare.paths == ["t.csv"] and Path("seeds/labels.csv").read_text() == LINES
    cli("init", "--again", "--topics", "law,army")
    after = read_params(Paths().params)
    assert after.topics.retired == {} and after.prepare.paths == ["seeds"]


@pytest.mark.usefixtures("old_project")
def test_topics_in_the_params_of_an_older_project_are_replaced_there(cli: Cli) -> None:
    params, codebook = Path("params.yaml"), Paths().codebook
    topics = indent(codebook.read_text().partition("\ntopics:\n")[2], "  ")
    mode = "  mode: single  # the mode\n"
    params.write_text(
        params.read_text().replace("  mode: single\n", f"{mode}  codebook:\n{topics}")
    )
    codebook.unlink()
    assert "edit params.yaml" in cli(*WORDS, "--again").out
    assert mode in params.read_text() and not codebook.exists()
    after = read_params(Paths().params)
    assert after.topics.names == ("law", "peace") and after.topics.retired == {"army": ()}
    assert "gone/params.yaml" in cli("init", "gone", *WORDS[3:], "--again", status=1)


@pytest.mark.parametrize("is_multi", [False, True])
def test_a_project_starts_with_a_dataset_that_was_written_as_parquet(
    cli: Cli, here: Path, is_multi: bool
) -> None:
    names = ["Trade", "Sports; Culture"]
    label: Any = datasets.ClassLabel(names=names)
    numbers = [n % 2 for n in range(12)]
    rows = {"text": [f"Speech {n}." for n in range(12)], "label": numbers}
    if is_multi:
        rows["label"] = [[n] for n in numbers]
        label = datasets.List(label)
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    datasets.Dataset.from_dict(rows, features=features).to_parquet("speeches.parquet")
    printed = cli("init", "new", "--table", "speeches.parquet").out
    assert "topic  Sports, Culture: 6 rows, labelled Sports; Culture" in printed
    (source,) = read_params(Path("new/params.yaml")).prepare.sources
    assert isinstance(source, Source) and source.labels == {"Sports; Culture": "Sports, Culture"}
