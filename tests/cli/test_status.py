"""What `paratopic status` counts, and what it says is missing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from paratopic.cli.report import count_labels, missing
from paratopic.corpus.labelled import Labelled, labelled_in
from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.report import Metrics, TopicFigures
from paratopic.project.files import PARAMS
from paratopic.project.topics import NO_TOPIC, Topic, Topics
from tests.programs import ROOT, Cli
from tests.reports import metrics, sure
from tests.samples import paragraph_table

TOPICS = Topics("single", ("trade", "security"))


def measured(threshold: float | None, groups: int, **about: Any) -> Metrics:
    """What is measured of sure predictions, where three groups are needed."""
    part = sure(threshold, groups_needed=3, groups=groups)
    return metrics(abstention=part, split_unit="paragraph", mistakes=4, **about)


FEW, MANY = measured(None, 1), measured(0.8, 3)


def labelled(*rows: tuple[str, str, list[str] | None], topics: Topics = TOPICS) -> Labelled:
    """Labelled paragraphs by article, label_source and topics."""
    articles, sources, labels = zip(*rows, strict=True)
    texts = [f"Text {number}." for number in range(len(rows))]
    table = paragraph_table(article=articles, label_source=sources, label=labels, text=texts)
    return labelled_in(table, topics)


def test_labels_are_counted_by_topic_source_and_article() -> None:
    rows: list[tuple[str, str, list[str] | None]] = [
        ("a", "hand", ["trade", "security"]),
        ("a", "hand", ["trade"]),
        ("b", "hand", []),
        ("c", "weak", ["security"]),
        ("d", "none", None),
    ]
    counts = count_labels(labelled(*rows))
    assert list(counts.index) == ["trade", "security", NO_TOPIC]
    assert counts.to_numpy().tolist() == [[2, 0, 1], [0, 1, 0], [1, 0, 1]]
    multi = count_labels(labelled(*rows, topics=Topics("multi", ("trade", "security"))))
    assert multi.to_numpy()[1].tolist() == [1, 1, 1]
    assert count_labels(labelled(rows[-1])).to_numpy().sum() == 0


def test_what_is_missing_goes_away_with_more_labels() -> None:
    few = labelled(("a", "hand", ["trade"]), ("a", "hand", ["trade"]))
    notes = missing(few, FEW)
    about = ["security", NO_TOPIC, "figures for new articles", "sure predictions"]
    assert [note.split(":")[0] for note in notes] == about
    assert "learnt" in notes[0]
    described = Topics("single", (Topic("trade", "Goods."), Topic("security", "Armies.")))
    assert "learnt" not in missing(replace(few, topics=described), FEW)[0]
    unwritten = Topics("single", (Topic("trade", "Goods."), Topic("arms_race", "Arms race.")))
    assert "arms_race: no definition" in "\n".join(missing(replace(few, topics=unwritten), FEW))
    assert "3 distinct labelled paragraphs" in notes[3] and "there are 1" in notes[3]
    assert "there is 1." in notes[2]
    lacking = TopicFigures(0, *[Estimate(0.0)] * 3)
    of_topics = dict.fromkeys(("trade", "security", "its former name"), lacking)
    unmeasured = missing(few, measured(None, 1, topics=of_topics))
    assert unmeasured[1].startswith("trade: not measured")
    hundreds = replace(few, topics=Topics("single", tuple(f"t{n}" for n in range(300))))
    assert missing(replace(hundreds, rows=few.rows[:0]), None)[0].startswith("t0, t1, t2, ")
    assert "t9 and 290 more: fewer than" in missing(replace(hundreds, rows=few.rows[:0]), None)[0]
    many = labelled(*product("abcd", ["hand"], [["trade"], ["security"], []]))
    assert missing(many, MANY) == missing(many, None) == []
    (note,) = missing(many, FEW)  # as measured, which `note_changes` calls older than the labels
    assert note == notes[3]
    (note,) = missing(many, measured(None, 3))
    assert "4 of 9 answers are wrong" in note and "90%" in note


def test_the_seed_has_a_status(monkeypatch: pytest.MonkeyPatch, cli: Cli, project: Path) -> None:
    monkeypatch.chdir(project)
    printed = cli("status")
    assert "25 of 25 paragraphs labelled" in printed
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in printed.splitlines()]
    assert ["trade", "8", "0", "1"] in cells and [NO_TOPIC, "4", "0", "1"] in cells
    assert "at least 44 distinct labelled paragraphs with a topic, and there are 21" in printed
    assert "not known how these paragraphs were chosen" in printed
    monkeypatch.chdir(ROOT / "tests")
    assert "not a paratopic project" in cli("status", status=1)


def test_what_is_missing_is_listed_until_labels_change(here: Path, cli: Cli, project: Path) -> None:
    shutil.copytree(project, here, dirs_exist_ok=True)
    params, log = here / PARAMS, here / "seeds/labels.csv"
    params.write_text(params.read_text().replace("n_folds: ", "n_folds: 1"))
    printed = cli("status")
    assert "note: split in params.yaml changed" in printed and "Missing:" in printed
    log.write_text(log.read_text().replace(",trade,", ",security,"))
    printed = cli("status")
    assert "labelled before these changes" in printed and "Missing:" not in printed
