"""What `paratopic status` counts, and what it says is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic.cli.status import count_labels, missing
from paratopic.project.topics import NO_TOPIC, Topic, Topics
from tests.programs import ROOT, Cli
from tests.samples import paragraph_table

TOPICS = Topics("single", ("trade", "security"))


def measured(threshold: float | None, groups: int) -> dict[str, Any]:
    """What metrics.json says of sure predictions, where three groups are needed."""
    sure = {"threshold": threshold, "target": 0.9, "groups_needed": 3, "groups": groups}
    about = {"split_unit": "paragraph", "n": 9, "mistakes": 4}
    return about | {"abstention": {"sure": sure}}


FEW, MANY = measured(None, 1), measured(0.8, 3)


def table(*rows: tuple[str, str, list[str] | None]) -> pd.DataFrame:
    """Paragraphs by article, label_source and topics."""
    articles, sources, topics = zip(*rows, strict=True)
    texts = [f"Text {number}." for number in range(len(rows))]
    return paragraph_table(article=articles, label_source=sources, topics=topics, text=texts)


def test_labels_are_counted_by_topic_source_and_article() -> None:
    frame = table(
        ("a", "hand", ["trade", "security"]),
        ("a", "hand", ["trade"]),
        ("b", "hand", []),
        ("c", "weak", ["security"]),
        ("d", "none", None),
    )
    counts = count_labels(frame, TOPICS)
    assert list(counts.index) == ["trade", "security", NO_TOPIC]
    assert counts.to_numpy().tolist() == [[2, 0, 1], [0, 1, 0], [1, 0, 1]]
    multi = count_labels(frame, Topics("multi", ("trade", "security")))
    assert multi.to_numpy()[1].tolist() == [1, 1, 1]
    assert count_labels(frame[frame["label_source"] == "none"], TOPICS).to_numpy().sum() == 0


def test_what_is_missing_goes_away_with_more_labels() -> None:
    few = table(("a", "hand", ["trade"]), ("a", "hand", ["trade"]))
    notes = missing(few, TOPICS, FEW)
    assert [note.split(":")[0] for note in notes] == [
        "security",
        NO_TOPIC,
        "figures for new articles",
        "sure predictions",
    ]
    assert notes[0].endswith("too few to be learnt and measured")
    described = Topics("single", (Topic("trade", "Goods."), Topic("security", "Armies.")))
    assert missing(few, described, FEW)[0].endswith("too few to be measured")
    assert "3 distinct paragraphs with a topic" in notes[3] and "there are 2" in notes[3]
    assert "there is 1." in notes[2]
    many = table(
        *(
            (article, "hand", topics)
            for article in "abcd"
            for topics in (["trade"], ["security"], [])
        )
    )
    assert missing(many, TOPICS, MANY) == []
    assert missing(many, TOPICS, None) == []
    (note,) = missing(many, TOPICS, FEW)
    assert "It had 1 distinct paragraphs with a topic; there are 8 now" in note
    (note,) = missing(many, TOPICS, measured(None, 3))
    assert note.endswith("4 of 9 answers are wrong, too many to promise that 90% are right")


def test_the_seed_has_a_status(monkeypatch: pytest.MonkeyPatch, cli: Cli, project: Path) -> None:
    monkeypatch.chdir(project)
    printed = cli("status")
    assert "25 of 25 paragraphs labelled" in printed
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in printed.splitlines()]
    assert ["trade", "8", "0", "1"] in cells and [NO_TOPIC, "4", "0", "1"] in cells
    assert "44 distinct paragraphs with a topic, all answered right; there are 21" in printed
    assert "labels: nothing says how the paragraphs were chosen" in printed
    assert "add more texts to seeds, and run" in printed
    monkeypatch.chdir(ROOT / "tests")
    assert "params.yaml not found" in cli("status", status=1)
