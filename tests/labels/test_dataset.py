"""Labelled paragraphs are published as a dataset that others open."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import datasets
import pandas as pd
import pytest
from ruamel.yaml import YAML

from paratopic.corpus.labelled import labelled_in
from paratopic.labels.dataset import write_dataset
from paratopic.labels.log import Label
from paratopic.project.source_settings import Source
from paratopic.project.topics import ModeName, Topics
from tests.samples import PARAMS, paragraph_table, read_joined

SETTINGS = replace(PARAMS, license="cc-by-4.0")
FRAME = paragraph_table(
    text=["Tariffs rose.", "Troops left.", "Rain fell.", "Nobody read this."],
    label=[["trade", "security"], ["security"], [], None],
    label_source=["hand", "hand", "hand", "none"],
)
LINES = [
    Label("l.csv, line 2", "000", "trade", "Tariffs", "Ann", "2025-09-15", "Bo asked"),
    Label("l.csv, line 3", "000", "security", "Tariffs", "Bo", "2025-09-16"),
    Label("l.csv, line 4", "001", "security", "Troops", "Ann"),
    Label("l.csv, line 5", "gone", "security", "Ships", "Ann"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_the_library_and_a_project_open_it(topics: Topics, tmp_path: Path, mode: ModeName) -> None:
    topics = replace(topics, mode=mode)
    folder = tmp_path / "harbour"
    folder.mkdir()
    write_dataset(folder, "harbour", SETTINGS, labelled_in(FRAME, topics), LINES, anonymous=False)
    data = datasets.load_dataset(str(folder), split="train")
    column = "label" if mode == "single" else "labels"
    of = data.features[column] if mode == "single" else data.features[column].feature
    rest = ["none of the topics"] if mode == "single" else []
    assert of.names == [*topics.names, *rest] and len(data) == 3
    answers = datasets.load_dataset(str(folder), "answers", split="train")
    assert answers["annotator"] == ["Ann", "Bo", "Ann"] and answers[0]["note"] == "Bo asked"
    card = (folder / "README.md").read_text(encoding="utf-8")
    entry, no_topic = re.findall("`([^`]+)`", card.splitlines()[-1])[:2]
    source = Source(**YAML(typ="safe").load(entry.replace("this/folder", str(folder))))
    frame, _ = read_joined(source.path, topics, [no_topic], source)
    first = ["trade"] if mode == "single" else ["trade", "security"]
    assert list(frame["label"]) == [first, ["security"], []]


def test_weak_labels_stay_and_answers_have_todays_names(topics: Topics, tmp_path: Path) -> None:
    lines = [replace(line, cell=line.cell.replace("trade", "commerce")) for line in LINES]
    first, *rest = topics.topics
    topics = replace(topics, codebook=(replace(first, was=("commerce",)), *rest))
    frame = FRAME.assign(label_source=["hand", "weak", "hand", "none"])
    write_dataset(tmp_path, "harbour", SETTINGS, labelled_in(frame, topics), lines, anonymous=False)
    assert pd.read_parquet(tmp_path / "paragraphs.parquet")["id"].tolist() == ["000", "002"]
    answers = pd.read_parquet(tmp_path / "answers.parquet")
    assert answers["topics"].tolist() == ["trade", "security"]


def test_names_and_notes_stay_here_if_asked(topics: Topics, tmp_path: Path) -> None:
    write_dataset(tmp_path, "harbour", SETTINGS, labelled_in(FRAME, topics), LINES, anonymous=True)
    answers = pd.read_parquet(tmp_path / "answers.parquet")
    assert list(answers) == ["paragraph", "topics", "annotator", "when", "drawn"]
    assert answers.to_numpy().tolist() == [
        ["000", "trade", "annotator 1", "2025-09-15", ""],
        ["000", "security", "annotator 2", "2025-09-16", ""],
        ["001", "security", "annotator 1", "", ""],
    ]


def test_its_card_says_what_it_is(topics: Topics, tmp_path: Path) -> None:
    write_dataset(tmp_path, "harbour", SETTINGS, labelled_in(FRAME, topics), [], anonymous=False)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-4.0\n" in card and "3 labelled paragraphs of 1 article." in card
    assert "| security | 1 | About security. |" in card
    assert not (tmp_path / "answers.parquet").exists() and "config_name: answers" not in card
