"""Exchange with other tools: suggestions are written, and people's labels are read."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.annotation import exchange
from paratopic.annotation.label_studio import NONE_CHOICE, configuration
from paratopic.annotation.suggestion import Suggestion, make_suggestions
from paratopic.project.errors import UserError
from paratopic.project.files import escape_formula, unescape_formula
from paratopic.project.topics import Topic, Topics
from paratopic.reading.article import paragraphs_of
from paratopic.reading.sources import frame_of
from paratopic.tables.workbook import Tab, read_workbook, write_workbook
from tests.documents import save
from tests.samples import TOPICS, plain_article

ONE = plain_article("one", "Trade\n\nTariffs rose on all goods.\n\nThe navy, sailed.\n\nIt rained.")


FRAME = frame_of(paragraphs_of(ONE))
IDS = list(FRAME["id"])
SCORES = dict(zip(TOPICS.names, (0.2, 0.3, 0.5), strict=True))
SUGGESTIONS = [
    Suggestion(r["id"], "one", "Trade", r["text"], ("before",), ("after", "more"), SCORES)
    for r in FRAME.to_dict("records")
]


def read(path: Path, topics: Topics = TOPICS) -> exchange.ImportedLabels:
    return exchange.read_votes(path, FRAME, topics)


def write(path: Path, items: list[Suggestion] = SUGGESTIONS) -> list[Path]:
    return exchange.write_tasks(path, items, TOPICS, "baseline")


def replaced(rows: Iterable[Iterable[str]], values: Mapping[str, object]) -> list[list[object]]:
    """Rows in which some cells are replaced: cell → its new value."""
    result = []
    for row in rows:
        result.append([values.get(cell, cell) for cell in row])
    return result


def rows_of(imported: exchange.ImportedLabels) -> list[tuple[str, str, str, str, str]]:
    return [(x.paragraph, x.cell, x.annotator, x.when, x.note) for x in imported.labels]


def task(paragraph: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": 7, "data": {"paragraph": paragraph}, "annotations": list(annotations)}


def annotation(dominant: list[str], *others: str, by: Any = 1, **more: Any) -> dict[str, Any]:
    result = [
        {"from_name": "others", "type": "choices", "value": {"choices": list(others)}},
        {"from_name": "dominant", "type": "choices", "value": {"choices": dominant}},
        {"from_name": "note", "type": "textarea", "value": {"text": ["why", "so"]}},
    ]
    return {"completed_by": by, "updated_at": "2025-09-15T10:00:00Z", "result": result} | more


def test_reading_a_label_studio_export(tmp_path: Path) -> None:
    tasks = [
        task(IDS[0], annotation(["security"], "trade"), annotation(["trade"], by={"email": "bo"})),
        task(IDS[1], annotation([NONE_CHOICE])),
        task(IDS[2]),
        task(IDS[2], annotation(["trade"], was_cancelled=True), annotation([])),
        task("one:gone", annotation(["trade"])),
        task(IDS[2], annotation(["trad"])),
        task(IDS[2], annotation([NONE_CHOICE], "trade")),
    ]
    imported = read(save(tmp_path, "export.json", json.dumps(tasks)))
    when = "2025-09-15T10:00:00Z"
    assert rows_of(imported) == [
        (IDS[0], "security;trade", "label-studio-1", when, "why so"),
        (IDS[0], "trade", "bo", when, "why so"),
        (IDS[1], "", "label-studio-1", when, "why so"),
    ]
    assert imported.labels[0].text == "Tariffs rose on all goods."
    export = f"{tmp_path / 'export.json'}, task"
    n_skipped = {reason: len(places) for reason, places in imported.skipped.items()}
    assert n_skipped == {"undecided": 2, "skipped by the annotator": 1}
    places = list(chain.from_iterable(imported.skipped.values()))
    assert all(place.startswith(export) for place in places)
    named = ("one:gone.*`dvc repro prepare`", '"trad" .*"trade"', "none of the topics.*trade")
    for problem, pattern in zip(imported.problems, named, strict=True):
        assert re.search(rf"^{re.escape(export)} 7: .*{pattern}", problem)


@pytest.mark.parametrize("separator", [",", ";", "\t", ""])
def test_reading_a_sheet_with_any_separator_or_a_workbook(tmp_path: Path, separator: str) -> None:
    path = tmp_path / ("sheet.csv" if separator else "sheet.xlsx")
    rows = [
        ["paragraph", "topics", "text", "annotator", "when"],
        [IDS[0], "security; trade", "Tariffs, all", "ann", "2025-09-15"],
        [IDS[1], "", "", "", ""],
        [IDS[2], "?", "", "", ""],
        ["one:gone", "trade", "", "", ""],
        [IDS[2], "trad", "", "", ""],
    ]
    if separator:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter=separator).writerows(rows)
    else:
        write_workbook(path, Tab(replaced(rows, {"": None})))
    imported = read(path)
    assert rows_of(imported) == [
        (IDS[0], "security;trade", "ann", "2025-09-15", ""),
        (IDS[1], "", "", "", ""),
    ]
    assert list(imported.skipped) == ["undecided"]
    assert [problem.split(": ")[0] for problem in imported.problems] == [
        f"{path}, row {row}" for row in (5, 6)
    ]


def test_a_sheet_as_a_workbook_has_the_same_cells(tmp_path: Path) -> None:
    (path,) = write(tmp_path / "sheet.xlsx")
    rows = [cells for _, cells in read_workbook(path)]
    in_csv = list(csv.reader(io.StringIO(exchange.sheet(SUGGESTIONS))))
    assert rows == replaced(in_csv, {"0.50": "0.5"})
    shown = dict(zip(in_csv[0], in_csv[2], strict=True))
    assert (shown["topics"], shown["suggestion"], shown["probability"]) == ("?", "security", "0.50")
    assert shown["text"] == "The navy, sailed."
    assert exchange.read_drawn(path, FRAME) == dict.fromkeys(FRAME["id"], "")


@pytest.mark.parametrize(
    ("suggestion", "more"), [("suggestion", ()), ("tip", (("confidence", ".53"),))]
)
def test_the_confidence_of_a_suggestion_is_not_that_of_the_annotator(
    tmp_path: Path, suggestion: str, more: tuple[tuple[str, str], ...]
) -> None:
    header = f"paragraph,topics,text,{suggestion},confidence"
    path = save(tmp_path, "sheet.csv", f"{header}\n{IDS[0]},security,,trade,.53\n")
    assert [label.more for label in read(path).labels] == [more]


def test_a_workbook_is_ready_to_be_filled_in(tmp_path: Path) -> None:
    (path,) = write(tmp_path / "sheet.xlsx")
    sheet, codebook = openpyxl.load_workbook(path).worksheets
    assert (sheet.title, codebook.title) == ("paragraphs", "codebook")
    assert sheet.freeze_panes == codebook.freeze_panes == "A2"
    assert sheet.column_dimensions["C"].width == 80
    assert sheet["C2"].alignment.wrap_text and codebook["B2"].alignment.wrap_text
    assert isinstance(sheet["F2"].value, float)
    (choice,) = sheet.data_validations.dataValidation
    assert (str(choice.sqref), choice.formula1) == ("B2:B4", "codebook!$A$2:$A$6")
    assert [cell.value for cell in codebook["A"][1:6]] == [*TOPICS.names, NONE_CHOICE, "?"]
    assert not choice.showErrorMessage  # a cell may have several topics
    assert codebook["A2"].value == "trade" and codebook["B2"].value == "About trade."


def test_topics_are_read_from_a_sheet_as_people_write_them(tmp_path: Path) -> None:
    rows = f"{IDS[0]}, Trade ;SECURITY,\n{IDS[1]},None,trade\n{IDS[2]},,trade\n{IDS[2]},?,trade\n"
    imported = read(save(tmp_path, "sheet.csv", f"paragraph,topics,suggestion\n{rows}"))
    assert [label.cell for label in imported.labels] == ["trade;security", ""]
    sheet = tmp_path / "sheet.csv"
    assert imported.skipped == {
        'empty (write "none" for none of the topics)': [f"{sheet}, row 4"],
        "undecided": [f"{sheet}, row 5"],
    }
    path = save(tmp_path, "sheet.csv", f"paragraph,topics\n{IDS[0]},trade;none\n")
    (problem,) = read(path).problems
    assert "row 2" in problem and "trade" in problem


def test_a_topic_that_is_called_none_is_that_topic(tmp_path: Path) -> None:
    rows = f"paragraph,topics\n{IDS[0]},none\n{IDS[1]},us\n{IDS[2]},Us\n"
    path = save(tmp_path, "sheet.csv", rows)
    imported = read(path, Topics("single", ("None", "us", "US")))
    assert [label.cell for label in imported.labels] == ["None", "us"]
    assert 'unknown topic "Us"' in imported.problems[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", "[", r"not a JSON export of Label Studio \(the file: Invalid JSON"),
        ("x.json", '{"a": 1}', "not a JSON export of Label Studio"),
        ("x.json", '[{"paragraph": "a", "dominant": "trade"}]', "not as JSON-MIN"),
        ("x.csv", "id,topics\n1,trade\n", 'row 1: there is no column "paragraph"'),
        ("x.json", "[" * 100_000, "not a JSON export of Label Studio"),
        ("x.json", '[{"data": {}, "annotations": 1}]', r"\(0.annotations: Input should be"),
        ("x.csv", "paragraph,topics\na,trade,more\n", "x.csv, row 2: more cells than columns"),
        ("x.txt", "x", "x.txt"),
        ("x.json", "", "x.json"),
    ],
)
def test_a_missing_file_and_one_of_another_format_are_errors(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "gone.csv")
    with pytest.raises(UserError, match=message):
        read(save(tmp_path, name, content))


ODD = st.text(st.characters(categories=["L", "N", "P", "Zs"]) | st.sampled_from("\r\n\t,\";'="))


@settings(max_examples=200)
@given(ODD)
def test_no_part_of_a_cell_becomes_a_row(text: str) -> None:
    sheet = exchange.sheet([Suggestion("a:1", text, "", "a", (), (), {}, "unsure")])
    rows = list(csv.reader(io.StringIO(sheet, newline=""), strict=True))
    assert len(rows) == 2 and len(rows[1]) == len(rows[0])


@given(st.text("'=+-@\t\r\n ＝a"))
def test_no_cell_of_a_sheet_is_a_formula_and_each_is_read_as_it_was(cell: str) -> None:
    written = escape_formula(cell)
    is_number = re.fullmatch(r"[-+][0-9.,]*(e[-+]?[0-9]+)?%?", cell, re.IGNORECASE)
    assert is_number or not written.strip().startswith(("=", "+", "-", "@", "＝"))
    assert not written.startswith(("\t", "\r"))
    assert unescape_formula(written) == cell


@pytest.mark.parametrize("text", ["=HYPERLINK(A1)", "'@SUM(1)", "- a list"])
def test_a_paragraph_like_a_formula_is_read_as_it_was_from_a_sheet(
    tmp_path: Path, text: str
) -> None:
    (path,) = write(tmp_path / "sheet.csv", [Suggestion("=evil:1", "=evil", "", text, (), ())])
    written = path.read_text(encoding="utf-8")
    assert f"'{text}" in written
    path = save(tmp_path, "sheet.csv", written.replace("?", "trade"))
    frame = pd.DataFrame({"id": ["=evil:1"], "text": [text]})
    (label,) = exchange.read_votes(path, frame, TOPICS).labels
    assert (label.paragraph, label.cell) == ("=evil:1", "trade")


def test_label_studio_tasks_contain_the_model_s_suggestion(tmp_path: Path) -> None:
    titled = [replace(item, title="Talks open") for item in SUGGESTIONS]
    tasks, config = write(tmp_path / "tasks.json", titled)
    first = json.loads(tasks.read_text(encoding="utf-8"))[0]
    assert first["data"]["paragraph"] == SUGGESTIONS[0].id
    assert (first["data"]["after"], first["data"]["title"]) == ("after\n\nmore", "Talks open")
    (prediction,) = first["predictions"]
    assert (prediction["score"], prediction["model_version"]) == (0.5, "baseline")
    # The prediction uses controls and names of the configuration.
    root = ElementTree.fromstring(config.read_text(encoding="utf-8"))
    controls = {item.get("name"): item for item in root.iter("Choices")}
    (choice,) = prediction["result"]
    assert controls[choice["from_name"]].get("toName") == choice["to_name"]
    assert choice["value"]["choices"] == ["security"]
    shown = {item.get("value", "")[1:] for item in root.iter("Text")}
    assert {"text", "before"} <= shown <= set(first["data"])


def test_the_label_studio_configuration_has_all_choices() -> None:
    root = ElementTree.fromstring(configuration(TOPICS))
    controls = {item.get("name"): item for item in root.iter("Choices")}
    assert [c.get("value") for c in controls["dominant"]] == [*TOPICS.names, NONE_CHOICE]
    assert [c.get("value") for c in controls["others"]] == list(TOPICS.names)
    # Only the paragraph to label is not pale.
    assert [item.get("name") for item in root.findall("Text")] == ["text"]


def test_quotes_in_a_definition_are_escaped_in_the_configuration() -> None:
    topics = Topics("single", (Topic("a & b", 'Of "a" <and> b.'), Topic('"c"')))
    root = ElementTree.fromstring(configuration(topics))
    first = next(root.iter("Choice"))
    assert (first.get("value"), first.get("hint")) == ("a & b", 'Of "a" <and> b.')


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".json"])
def test_how_a_paragraph_was_drawn_comes_back(tmp_path: Path, suffix: str) -> None:
    drawn = dict(zip(FRAME["id"], ["17.1", "article", ""], strict=True))
    (path, *_) = write(tmp_path / f"tasks{suffix}", make_suggestions(FRAME, drawn))
    if suffix == ".json":
        tasks = json.loads(path.read_text(encoding="utf-8"))
        annotated = [task | {"annotations": [annotation(["trade"])]} for task in tasks]
        path.write_text(json.dumps(annotated), encoding="utf-8")
    else:
        assert exchange.read_drawn(path, FRAME) == drawn
        unfilled = read(path)
        assert not unfilled.labels and len(unfilled.skipped["undecided"]) == len(FRAME)
        if suffix == ".xlsx":
            rows = [cells for _, cells in read_workbook(path)]
        else:
            rows = list(csv.reader(path.open()))
        path = tmp_path / "filled.xlsx"
        write_workbook(path, Tab(replaced(rows, {"?": "trade", "17.1": 17.1})))
    imported = read(path)
    assert {label.paragraph: label.drawn for label in imported.labels} == drawn
    assert {label.cell for label in imported.labels} == {"trade"}


def test_how_a_paragraph_was_drawn_is_checked_in_a_sheet(tmp_path: Path) -> None:
    rows = f"paragraph,topics,drawn\n{IDS[0]},trade,1\n{IDS[1]},trade,x\n"
    path = save(tmp_path, "sheet.csv", rows)
    imported = read(path)
    assert [label.paragraph for label in imported.labels] == IDS[:1]
    (problem,) = imported.problems
    assert f'{path}, row 3: "x" in the column drawn' in problem
    with pytest.raises(UserError, match='row 3: "x" in the column drawn'):
        exchange.read_drawn(path, FRAME)


def test_reading_which_paragraphs_a_sheet_lists(tmp_path: Path) -> None:
    (path,) = write(tmp_path / "out.csv", SUGGESTIONS[::-1])
    assert list(exchange.read_drawn(path, FRAME)) == list(FRAME["id"])[::-1]
    with pytest.raises(UserError, match="row 2: .*one:"):
        exchange.read_drawn(path, FRAME[:1])


def test_in_mode_multi_label_studio_asks_for_all_topics_at_once() -> None:
    page = configuration(replace(TOPICS, mode="multi"))
    assert page.count("<Choices ") == 1 and 'choice="multiple" required="true"' in page
    assert page.count("<Choice ") == 4
