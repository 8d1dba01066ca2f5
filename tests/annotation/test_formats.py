"""Suggestions out to other tools, and labels back in."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic.annotation import formats
from paratopic.annotation.context import Suggestion
from paratopic.project.errors import UserError
from paratopic.project.topics import Topic, Topics
from paratopic.reading.article import frame_of, paragraphs_of
from tests.samples import plain_article

ONE = plain_article("one", "Trade\n\nTariffs rose on all goods.\n\nThe navy, sailed.\n\nIt rained.")


@pytest.fixture
def frame() -> pd.DataFrame:
    return frame_of(paragraphs_of(ONE))


@pytest.fixture
def ids(frame: pd.DataFrame) -> list[str]:
    return list(frame["id"])


def labelled(found: formats.ImportedLabels) -> list[tuple[str, str, str, str, str]]:
    return [(x.paragraph, x.cell, x.annotator, x.when, x.note) for x in found.labels]


def task(paragraph: str, *annotations: dict[str, Any], text: str = "") -> dict[str, Any]:
    data = {"paragraph": paragraph, "text": text}
    return {"id": 7, "data": data, "annotations": list(annotations)}


def annotation(dominant: list[str], *others: str, by: Any = 1, **more: Any) -> dict[str, Any]:
    result = [
        {"from_name": "others", "type": "choices", "value": {"choices": list(others)}},
        {"from_name": "dominant", "type": "choices", "value": {"choices": dominant}},
        {"from_name": "note", "type": "textarea", "value": {"text": ["why", "so"]}},
    ]
    return {"completed_by": by, "updated_at": "2025-09-15T10:00:00Z", "result": result} | more


def test_label_studio(tmp_path: Path, frame: pd.DataFrame, ids: list[str], topics: Topics) -> None:
    path = tmp_path / "export.json"
    tasks = [
        task(ids[0], annotation(["security"], "trade"), annotation(["trade"], by={"email": "bo"})),
        task("", annotation([formats.NONE]), text="The navy, sailed."),
        task(ids[2]),
        task(ids[2], annotation(["trade"], was_cancelled=True), annotation([])),
        task("one:gone", annotation(["trade"])),
        task(ids[2], annotation(["trad"])),
        task(ids[2], annotation([formats.NONE], "trade")),
    ]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    found = formats.read_answers(path, frame, topics)
    when = "2025-09-15T10:00:00Z"
    assert labelled(found) == [
        (ids[0], "security;trade", "label-studio-1", when, "why so"),
        (ids[0], "trade", "bo", when, "why so"),
        (ids[1], "", "label-studio-1", when, "why so"),
    ]
    assert found.labels[0].text == "Tariffs rose on all goods."
    assert found.left_out == {"undecided": 2, "skipped by the annotator": 1}
    assert [problem.partition(": ")[2] for problem in found.problems] == [
        "one:gone is no paragraph of the sources; `dvc repro prepare` reads new sources",
        'unknown topic "trad" (did you mean "trade"?); the codebook in params.yaml '
        "(topics.codebook) has trade, technology, security",
        "both (none of the topics) and trade; choose one",
    ]
    assert all(problem.startswith(f"{path}, task 7") for problem in found.problems)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_spreadsheet_in_any_country(
    tmp_path: Path, frame: pd.DataFrame, ids: list[str], topics: Topics, separator: str
) -> None:
    path = tmp_path / "sheet.csv"
    lines = [
        ["paragraph", "topics", "text", "annotator"],
        [ids[0], "security; trade", "Tariffs, all", "ann"],
        [ids[1], "", "", ""],
        [ids[2], "?", "", ""],
        ["one:gone", "trade", "", ""],
        [ids[2], "trad", "", ""],
        [ids[2]],
        [ids[2], "trade", "", "", "more"],
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(lines)
    found = formats.read_answers(path, frame, topics)
    assert labelled(found) == [(ids[0], "security;trade", "ann", "", ""), (ids[1], "", "", "", "")]
    assert found.left_out == {"undecided": 1}
    assert [problem.split(": ")[0] for problem in found.problems] == [
        f"{path}, line {line}" for line in (5, 6, 7, 8)
    ]


def test_doccano(tmp_path: Path, frame: pd.DataFrame, ids: list[str], topics: Topics) -> None:
    path = tmp_path / "ann.jsonl"
    documents = [
        {"id": 1, "text": "x", "label": ["trade"], "paragraph": ids[0], "Comments": ["why"]},
        {"id": 2, "text": "It rained.", "label": [formats.NONE]},
        {"id": 3, "text": "x", "label": [], "meta": {"paragraph": ids[1]}},
        {"id": 4, "text": "Nowhere.", "label": ["trade"]},
    ]
    path.write_text("\n".join(map(json.dumps, documents)) + "\n\n", encoding="utf-8")
    found = formats.read_answers(path, frame, topics)
    assert labelled(found) == [(ids[0], "trade", "", "", "why"), (ids[2], "", "", "", "")]
    assert found.left_out == {"undecided": 1}
    assert "line 4: names no paragraph, and none of the sources has" in found.problems[0]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.json", "[", "x.json is no JSON"),
        ("x.json", '{"a": 1}', "no JSON export of Label Studio"),
        ("x.json", '[{"paragraph": "a", "dominant": "trade"}]', "not as JSON-MIN"),
        ("x.csv", "id,topics\n1,trade\n", 'line 1: there is no column "paragraph"'),
        ("x.jsonl", '{"text": "x", "label": [[0, 4, "x"]]}', "x.jsonl, line 1: no document"),
        ("x.txt", "x", "the file's ending says what it is"),
        ("x.json", "", "x.json"),
    ],
)
def test_files_that_are_refused(
    tmp_path: Path, frame: pd.DataFrame, topics: Topics, name: str, content: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=told):
        formats.read_answers(path, frame, topics)
    with pytest.raises(UserError, match="cannot be read"):
        formats.read_answers(tmp_path / "gone.csv", frame, topics)


@pytest.fixture
def suggestions(frame: pd.DataFrame, topics: Topics) -> list[Suggestion]:
    scores = dict(zip(topics.names, (0.2, 0.3, 0.5), strict=True))
    return [
        Suggestion(r["id"], "one", "Trade", r["text"], ("before",), ("after", "more"), scores)
        for r in frame.to_dict("records")
    ]


def test_tasks_for_label_studio_carry_the_model_s_suggestion(
    tmp_path: Path, suggestions: list[Suggestion], topics: Topics
) -> None:
    tasks, page = formats.write_tasks(tmp_path / "tasks.json", suggestions, topics, "transformer")
    first = json.loads(tasks.read_text(encoding="utf-8"))[0]
    assert first["data"]["paragraph"] == suggestions[0].id
    assert first["data"]["after"] == "after\n\nmore"
    (prediction,) = first["predictions"]
    assert (prediction["score"], prediction["model_version"]) == (0.5, "transformer")
    root = ElementTree.fromstring(page.read_text(encoding="utf-8"))
    controls = {item.get("name"): item for item in root.iter("Choices")}
    assert [c.get("value") for c in controls["dominant"]] == [*topics.names, formats.NONE]
    assert [c.get("value") for c in controls["others"]] == list(topics.names)
    # What the prediction names is on the page.
    (said,) = prediction["result"]
    assert controls[said["from_name"]].get("toName") == said["to_name"]
    assert said["value"]["choices"] == ["security"]
    shown = {item.get("value", "")[1:] for item in root.iter("Text")}
    assert shown <= set(first["data"])


def test_a_definition_with_quotes_leaves_the_page_well_formed() -> None:
    topics = Topics("single", (Topic("a & b", 'Of "a" <and> b.'), Topic('"c"')))
    root = ElementTree.fromstring(formats.label_studio_page(topics))
    first = next(root.iter("Choice"))
    assert (first.get("value"), first.get("hint")) == ("a & b", 'Of "a" <and> b.')


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_what_is_written_and_filled_in_comes_back(
    tmp_path: Path,
    frame: pd.DataFrame,
    suggestions: list[Suggestion],
    topics: Topics,
    name: str,
) -> None:
    (path,) = formats.write_tasks(tmp_path / name, suggestions, topics, "baseline")
    found = formats.read_answers(path, frame, topics)
    assert not found.labels and found.left_out == {"undecided": len(frame)}
    text = path.read_text(encoding="utf-8")
    filled = text.replace("?", "trade").replace('"label": []', '"label": ["trade"]')
    path.write_text(filled, encoding="utf-8")
    found = formats.read_answers(path, frame, topics)
    assert [(x.paragraph, x.cell) for x in found.labels] == [(i, "trade") for i in frame["id"]]


def test_the_sheet_shows_what_the_model_says(suggestions: list[Suggestion]) -> None:
    rows = list(csv.DictReader(io.StringIO(formats.sheet(suggestions))))
    assert (rows[1]["topics"], rows[1]["suggestion"], rows[1]["confidence"]) == (
        "?",
        "security",
        "0.50",
    )
    assert rows[1]["text"] == "The navy, sailed."


def test_paragraphs_to_label_by_a_sheet(
    tmp_path: Path, frame: pd.DataFrame, suggestions: list[Suggestion], topics: Topics
) -> None:
    (path,) = formats.write_tasks(tmp_path / "out.csv", suggestions[::-1], topics, "baseline")
    assert formats.ids(path, frame) == list(frame["id"])[::-1]
    with pytest.raises(UserError, match="line 2: .* is no paragraph of the sources"):
        formats.ids(path, frame[:1])
