"""Labelled paragraphs as a dataset, which `datasets` and other projects read."""

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
from tests.samples import PARAMS, paragraph_table, read_labelled_rows

pytestmark = pytest.mark.usefixtures("strict_templates")

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
    classes = data.features[column] if mode == "single" else data.features[column].feature
    no_topic = ["none of the topics"] if mode == "single" else []
    assert classes.names == [*topics.names, *no_topic] and len(data) == 3
    votes = datasets.load_dataset(str(folder), "answers", split="train")
    assert votes["annotator"] == ["Ann", "Bo", "Ann"] and votes[0]["note"] == "Bo asked"
    card = (folder / "README.md").read_text(encoding="utf-8")
    entry, no_topic_cell = re.findall("`([^`]+)`", card.splitlines()[-1])[:2]
    source = Source(**YAML(typ="safe").load(entry.replace("this/folder", str(folder))))
    frame, _ = read_labelled_rows(source.path, topics, [no_topic_cell], source)
    first = ["trade"] if mode == "single" else ["trade", "security"]
    assert list(frame["label"]) == [first, ["security"], []]


def test_it_has_no_weak_labels_and_votes_have_current_names(topics: Topics, tmp_path: Path) -> None:
    lines = [replace(line, cell=line.cell.replace("trade", "commerce")) for line in LINES]
    first, *rest = topics.topics
    topics = replace(topics, codebook=(replace(first, was=("commerce",)), *rest))
    frame = FRAME.assign(label_source=["hand", "weak", "hand", "none"])
    write_dataset(tmp_path, "harbour", SETTINGS, labelled_in(frame, topics), lines, anonymous=False)
    assert pd.read_parquet(tmp_path / "paragraphs.parquet")["id"].tolist() == ["000", "002"]
    votes = pd.read_parquet(tmp_path / "answers.parquet")
    assert votes["topics"].tolist() == ["trade", "security"]


def test_an_anonymous_dataset_has_no_names_and_notes(topics: Topics, tmp_path: Path) -> None:
    write_dataset(tmp_path, "harbour", SETTINGS, labelled_in(FRAME, topics), LINES, anonymous=True)
    votes = pd.read_parquet(tmp_path / "answers.parquet")
    assert list(votes) == ["paragraph", "topics", "annotator", "when", "drawn"]
    assert votes.to_numpy().tolist() == [
        ["000", "trade", "annotator 1", "2025-09-15", ""],
        ["000", "security", "annotator 2", "2025-09-16", ""],
        ["001", "security", "annotator 1", "", ""],
    ]


def test_the_card_has_counts_definitions_and_the_licence(topics: Topics, tmp_path: Path) -> None:
    write_dataset(tmp_path, "harbour", SETTINGS, labelled_in(FRAME, topics), [], anonymous=False)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-4.0\n" in card and "3 labelled paragraphs of 1 article." in card
    assert "| security | 1 | About security. |" in card
    assert not (tmp_path / "answers.parquet").exists() and "config_name: answers" not in card
