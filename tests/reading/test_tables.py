"""Labelled tables from elsewhere become rows of the paragraph table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.worksheet.formula import ArrayFormula

from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.project.passages import Passage
from paratopic.project.source_settings import Source
from paratopic.project.topics import Topics
from paratopic.reading.structure import plain_segments
from paratopic.reading.tables import read_labelled_table, read_table
from paratopic.tables.workbook import Tab, write_workbook
from tests.documents import save, write_table
from tests.samples import TOPICS, read_labelled_rows, row_passages

TABLE = pd.DataFrame(
    {
        "text": ["Tariffs, up.", "Chips", "Tariffs, up.", "Rain"],
        "label": ["trade", "technology", "trade", "other"],
        "group": [1, 1, 2, 2],
        "more": [0, 0, 0, 0],
    }
)


@pytest.mark.parametrize("suffix", ["csv", "csv;", "csv\t", "xlsx", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    kind = suffix.rstrip(";\t")
    separator = suffix.removeprefix(kind) or ","
    path = write_table(TABLE, tmp_path / f"set.{kind}", separator)
    frame, _ = read_labelled_rows(path, TOPICS, ["other"])
    assert frame["text"].tolist() == TABLE["text"].tolist()
    assert frame["label"].tolist() == [["trade"], ["technology"], ["trade"], []]
    assert frame["article"].tolist() == ["set/1", "set/1", "set/2", "set/2"]
    assert frame["id"].is_unique and frame["id"][2] == frame["id"][0] + "-2"
    assert set(frame["label_source"]) == {"hand"}


def test_rows_without_a_group_are_articles_of_their_own(tmp_path: Path) -> None:
    path = save(tmp_path, "set.csv", "text,label\nTariffs,trade\nChips,\n")
    frame, _ = read_labelled_rows(path, TOPICS, [])
    assert frame["article"].tolist() == frame["id"].tolist()
    assert frame["label_source"].tolist() == ["hand", "none"]
    assert read_labelled_rows(save(tmp_path, "set.csv", "text,label\n"), TOPICS, [])[0].empty


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,trade\n,trade\n", r"set.csv, row 3: the text is empty"),
        ('text,label\n"a\nb",trade\n\n,\nc,trad\n', r'set.csv, row 5: unknown topic "trad"'),
        ("", r"set.csv: holds no text"),
        ("text,label\na,trade,b\n", r"set.csv, row 2: more cells than columns"),
        ('text,label\n"a,trade\n', r"set.csv, row 2: "),
        ("text,label,label\na,trade,\n", "row 1: .*two columns label"),
        ("text,label,date,date \nA,trade,2025,B1\n", "two columns date"),
        # A line break that is not quoted makes no paragraph.
        ("text,label,n\nFirst line\nnext,trade,1\n", 'row 2 ends before the column "label"'),
        ("text;topic\na,b;trade\n", r'there is no column "label".*this table has text, topic'),
        ("text,label\na,NA\n", r'set.csv, row 2: unknown topic "NA".* in prepare.no_topic'),
        # Positions that give no order.
        ("text,label,position\na,,1\n", "set.csv: .*position.*group"),
        ("text,label,group,position\na,,g,1\nb,,g,x\n", "row 3: the position is 'x', not a whole"),
        ("text,label,group,position\na,,g,1.5\n", "row 2: the position is '1.5', not a whole"),
        ("text,label,group,position\na,,g,\n", "row 2: the position is '', not a whole number"),
        (f"text,label,group,position\na,,g,{'9' * 30}\n", "row 2: the position is '999"),
        ("text,label,group,position\na,,g,1\nb,,h,1\nc,,g,01\n", "row 4: .*row 2 .* 01 too"),
        ("text,label,drawn\nA,trade,1\nB,trade,0.3\n", r'row 3: drawn is "0\.3"; write 1 if'),
    ],
)
def test_a_bad_table_is_refused_with_its_row_or_column(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_labelled_rows(save(tmp_path, "set.csv", content), TOPICS, [])
    assert len(str(error.value).splitlines()) == 1


def test_cells_stay_as_they_are_written(tmp_path: Path) -> None:
    codebook = Topics("single", ("1", "2", "NA", "007"))
    path = save(
        tmp_path, "set.csv", "text,label,group\nNA,1,01\n007,,1.0\nnan,null,\nnull,007,NA\n"
    )
    frame, _ = read_labelled_rows(path, codebook, ["null"])
    assert frame["text"].tolist() == ["NA", "007", "nan", "null"]
    assert frame["label"].tolist() == [["1"], None, [], ["007"]]
    assert frame["article"].tolist() == ["set/01", "set/1.0", frame["id"][2], "set/NA"]


def test_numbers_of_jsonl_and_parquet(tmp_path: Path) -> None:
    lines = '{"text": "a", "label": 1}\n\n{"text": "b\u2028", "label": null}\n'
    jsonl, parquet = save(tmp_path, "a.jsonl", lines), tmp_path / "b.parquet"
    pd.DataFrame({"text": ["a", "b"], "label": [1, None]}).to_parquet(parquet)  # stored as 1.0
    for path in (jsonl, parquet):
        frame, _ = read_labelled_rows(path, Topics("single", ("1", "2")), [])
        assert frame["label"].tolist() == [["1"], None]


def test_numbers_of_classes_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    names = {"info": {"features": {"label": {"names": ["trade", "security"]}}}}
    table = pa.table({"text": ["a", "b", "c"], "label": [1, -1, 0]})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), path)
    frame, _ = read_labelled_rows(path, TOPICS, [])
    assert frame["label"].tolist() == [["security"], None, ["trade"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "line 2: is not JSON"),
        ("[1]", "line 2: is not a JSON object"),
        ('{"text": "a\\ud800", "label": null}', "line 2: has half of a letter"),
        ('{"text": ["a"], "label": null}', "line 2: the text is list, not a string"),
        ('{"text": "a", "label": {"b": 1}}', "line 2: {'b': '1'}"),
        ('{"text": "a", "label": true}', 'line 2: unknown topic "true"'),
        ('{"label": "trade"}', "line 2: the text is empty"),
    ],
)
def test_bad_lines_are_refused_with_their_number(tmp_path: Path, line: str, message: str) -> None:
    path = save(tmp_path, "a.jsonl", '{"text": "a", "label": "trade"}\n' + line)
    with pytest.raises(UserError, match=rf"a\.jsonl, {message}"):
        read_labelled_rows(path, TOPICS, [])


def read(folder: Path, **columns: Sequence[object]) -> pd.DataFrame:
    """Read an unlabelled table of these columns."""
    path = write_table(pd.DataFrame(columns).assign(label=""), folder / "set.jsonl")
    return read_labelled_rows(path, TOPICS, [])[0]


def test_positions_in_a_group_give_the_neighbours(tmp_path: Path) -> None:
    text, position = ["B", "Other", "A", "C", "Alone", "Alone too"], [0, 0, -5, 10, 0, 0]
    frame = read(tmp_path, text=text, group=[1, 2, 1, 1, "", None], position=position)
    assert frame["ordered"].all() and frame["position"].tolist() == position
    assert row_passages(frame)[0] == Passage("B", ["A"], ["C"])
    # Without positions, rows have no neighbours.
    frame = read(tmp_path, text=["A", "B"], group=[1, 1])
    assert frame["article"].tolist() == ["set/1", "set/1"] and not frame["ordered"].any()


def test_rows_that_name_each_other_as_neighbours_are_one_article(tmp_path: Path) -> None:
    """Folds then do not divide neighbours. Neighbours that are no rows are kept."""
    frame = read(
        tmp_path,
        text=["One. ", "Two.", "Far.", "Three."],
        text_preceding=["Zero.", "One. ", "", "Two."],
        text_following=["Two.", "Three.", "Away.", None],
    )
    one, two, far, three = frame["article"]
    assert one == two == three != far == frame["id"][2]
    assert row_passages(frame)[1] == Passage("Two.", ["Zero.", "One. "], ["Three."])


@pytest.mark.parametrize(
    ("text", "before", "after", "connected"),
    [
        # Only one side is given.
        (["A", "B", "C"], ["", "A", ""], ["", "", ""], True),
        (["A", "B", "C"], ["", "", ""], ["B", "", ""], True),
        # A text that is no row stands between two.
        (["A", "B", "C"], ["", "X", ""], ["X", "", ""], True),
        # Nothing common.
        (["A", "B", "C"], ["X", "Y", ""], ["Z", "", ""], False),
        # A text that recurs connects no rows, unless two rows name each other as neighbours.
        (["A", "B", "C"], ["", "X", "X"], ["X", "", ""], False),
        (["A", "B", "A"], ["", "A", ""], ["", "", ""], False),
        (["A", "B", "A"], ["", "A", ""], ["B", "", ""], True),
        # A text on the same side of two rows is not between them.
        (["A", "B", "C"], ["X", "X", ""], ["", "", ""], False),
    ],
)
def test_which_neighbours_connect_rows(
    tmp_path: Path, text: Any, before: Any, after: Any, connected: bool
) -> None:
    frame = read(tmp_path, text=text, text_preceding=before, text_following=after)
    first, second, third = frame["article"]
    assert (first == second) == connected and third not in (first, second)


def test_groups_count_more_than_neighbours(tmp_path: Path) -> None:
    frame = read(tmp_path, text=["A", "B"], group=["x", ""], text_following=["B", ""])
    assert frame["article"].tolist() == ["set/x", frame["id"][1]]


def test_headings_and_titles_are_kept(tmp_path: Path) -> None:
    headings, titles = ["Talks / Trade", None, 2024], ["Talks", "Talks", ""]
    frame = read(tmp_path, text=["A", "B", "C"], heading=headings, title=titles)
    expected = [["Talks / Trade", "Talks"], ["", "Talks"], ["2024", ""]]
    assert frame[["heading", "title"]].to_numpy().tolist() == expected
    plain = read(tmp_path, text=["A"])
    assert plain[["title", "heading", "before", "after"]].to_numpy().tolist() == [[""] * 4]


def test_fields_of_json_lines_are_what_is_neither_a_list_nor_an_object(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"n": 1.5, "b": True, "list": [1], "\ud800": "\ud800", " m\t": "", "": "x", "nan": None},
        {"n": None, "object": {"a": 1}, "only": "x" * 5000},
    ]
    labelled = [{"text": "A", "label": None} | row for row in rows]
    lines = "\n".join(map(json.dumps, labelled)).replace("null", "NaN")
    _, fields = read_labelled_rows(save(tmp_path, "a.jsonl", lines), TOPICS, [])
    assert [[*row.dropna().items()] for _, row in fields.iterrows()] == [
        [("n", "1.5"), ("b", "true"), ("\\ud800", "\\ud800")],
        [("only", "x" * 300)],
    ]


def test_parquet_gives_its_columns_of_simple_types(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    day = datetime(2025, 9, 15, 22)
    columns = {
        "text": pa.array(["A", "B"]),
        "label": pa.array(["", ""]),
        "when": pa.array([day, None], pa.timestamp("ns", "Europe/Madrid")),
        "made": pa.array([day.date(), None]),
        "n": pa.array([1.0, float("nan")]),
        "kind": pa.array(["x", None]).dictionary_encode(),
        "zone": pa.array([0, 0], pa.timestamp("s", "Nowhere/None")),
        "far": pa.array([2**50, None], pa.timestamp("s")),
        "bytes": pa.array([b"x", b"y"]),
        "list": pa.array([["x"], None]),
        "struct": pa.array([{"a": 1}, None]),
        "null": pa.array([None, None]),
    }
    pq.write_table(pa.table(columns), path)
    _, fields = read_labelled_rows(path, TOPICS, [])
    row = fields.drop(columns="far").to_dict("records")[0]
    assert row == {"when": "2025-09-16", "made": "2025-09-15", "n": "1", "kind": "x"}
    assert fields.loc[1].isna().all()


OWN = pd.DataFrame(
    {
        "nr": [7, 8, 9],
        "when": ["2025-09-15T10:00:00", "2025-09", "03/04/2025"],
        "body": ["Duties rose.", "It rained.", "Chips and duties."],
        "topic": ["Econ", "Other", "Econ; technology"],
        "speech": ["a", "a", "b"],
        "beat": ["007", " two\nlines ", None],
        "heading": ["not meant", "", ""],
        "empty": ["", None, ""],
    }
)
COLUMNS: dict[str, Any] = {"text": "body", "label": "topic", "group": "speech", "id": "nr"}
COLUMNS["date"] = "when"
MEANT = Source("set.*", **COLUMNS, heading=None, labels={"Econ": "trade", "Other": "none"})


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "jsonl", "parquet"])
def test_columns_and_labels_of_other_names_and_fields(tmp_path: Path, suffix: str) -> None:
    path = write_table(OWN, tmp_path / f"set.{suffix}", ";")
    frame, fields = read_labelled_rows(path, TOPICS, [], MEANT)
    assert frame["id"].tolist() == ["set:7", "set:8", "set:9"]
    assert frame["text"].tolist() == OWN["body"].tolist()
    assert frame["label"].tolist() == [["trade"], [], ["trade", "technology"]]
    assert frame["article"].tolist() == ["set/a", "set/a", "set/b"]
    assert frame["heading"].tolist() == ["", "", ""]
    assert fields.fillna("").to_dict("list") == {
        "date": ["2025-09-15", "2025-09", "03/04/2025"],
        "beat": ["007", "two lines", ""],
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("", text="words"), 'no column "words" for text; this table has nr, when, body'),
        (Source("", text="body", label="topic", group="x"), 'no column "x" for group; this table'),
        (Source("", text="body"), 'no column "label" for label; .*label: COLUMN}, or null'),
        (replace(MEANT, labels={"Econ": "trad"}), 'params.yaml, .*"Econ": unknown topic "trad" '),
        (replace(MEANT, labels={"Econ": "trade"}), 'row 3: unknown topic "Other".*"Other": TOPIC'),
        (replace(MEANT, id="speech"), 'row 3: the id "a" is that of .*row 2 too; .*id: null'),
        (replace(MEANT, id="heading"), "row 3: has no id; correct it"),
    ],
)
def test_keys_that_do_not_fit_a_table_are_named(
    tmp_path: Path, source: Source, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_labelled_rows(write_table(OWN, tmp_path / "set.csv"), TOPICS, [], source)


def test_one_column_may_be_date_and_group_and_of_any_type(tmp_path: Path) -> None:
    path, source = tmp_path / "set.parquet", Source("", date="when", group="when")
    for when, dates, articles in (
        ([1947, 1948], ["1947", "1948"], ["set/1947", "set/1948"]),
        ([datetime(2025, 9, 15), None], ["2025-09-15", ""], ["set/2025-09-15", "set:2"]),
    ):
        table = {"text": ["A", "B"], "label": ["trade", "nan"], "when": when, "id": [1, 2]}
        pd.DataFrame(table).to_parquet(path)
        frame, fields = read_labelled_rows(path, TOPICS, ["nan"], source)
        assert fields["date"].fillna("").tolist() == dates
        assert frame["article"].tolist() == articles
        assert frame["label"].tolist() == [["trade"], []]


def test_wrong_columns_of_other_formats_are_refused(tmp_path: Path) -> None:
    book, path = tmp_path / "set.xlsx", tmp_path / "set.parquet"
    write_workbook(book, Tab([["text", "label"], ["a", "trade"], ["b", "trade", None, "c"]]))
    with pytest.raises(UserError, match=r"set\.xlsx, row 3: more cells than columns"):
        read_labelled_rows(book, TOPICS, [])
    names = ["text", "label", "label"]
    pq.write_table(pa.table([pa.array([cell]) for cell in "abc"], names=names), path)
    with pytest.raises(UserError, match=r"set.parquet: .*two columns label"):
        read_table(path)


def test_decimals_lists_and_the_text_nan_are_labels_of_parquet(tmp_path: Path) -> None:
    columns = {
        "text": pa.array(["a", "b", "c"]).cast(pa.string_view()),
        "one": pa.array(["nan", "trade", None]),
        "several": pa.array([["trade", "security"], [], None]),
        "number": pa.array([Decimal("1"), Decimal("2"), None]),
        "scaled": pa.array([Decimal("1.0"), Decimal("2.5"), None]),
    }
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path)
    cells = {
        name: read_labelled_table(path, [], Source(str(path), label=name)).votes["cell"].tolist()
        for name in ("one", "several", "number", "scaled")
    }
    several = ["trade;security", "none"]
    numbers = {"number": ["1", "2"], "scaled": ["1", "2.5"]}
    assert cells == {"one": ["nan", "trade"], "several": several} | numbers
    # `init` proposes from the same values.
    assert read_table(path).columns["scaled"] == ["1", "2.5", None]


@pytest.mark.parametrize("source", [Source("", "Text", "LABEL", "Group "), Source("")])
def test_the_case_of_names_does_not_matter(tmp_path: Path, source: Source) -> None:
    path = save(tmp_path, "set.csv", "Text,LABEL,Group ,Date\nA,trade,1,15.09.2025\nB,trade,1,\n")
    frame, fields = read_labelled_rows(path, TOPICS, [], source)
    assert frame["article"].tolist() == ["set/1", "set/1"]
    assert fields["date"].tolist()[0] == "2025-09-15" and frame["label"].tolist() == [["trade"]] * 2


def test_a_column_contains_the_draws_of_rows(tmp_path: Path) -> None:
    cells = "A,trade,1\nB,trade,1.0\nC,trade,article\nD,trade,\nE,,\n"
    _, votes, fields = read_labelled_table(
        save(tmp_path, "set.csv", f"text,label,drawn\n{cells}"), []
    )
    assert votes["draw"].tolist() == ["paragraph", "paragraph", "article", ""]
    assert "drawn" not in fields


def test_an_index_is_no_title_and_titles_may_stand_above_unlabelled_rows(tmp_path: Path) -> None:
    rows = "".join(f"{n},rain fell on day {n}\n" for n in range(5))
    frame, _ = read_labelled_rows(
        save(tmp_path, "a.csv", f",text\n{rows}"), TOPICS, [], Source("a.csv", label=None)
    )
    assert len(frame) == 5
    labelled = "".join(f"Rain on day {n};trade;15.09.2025\n" for n in range(7))
    rows = labelled + "".join(f"Rain on day {n};;15.09.2025\n" for n in range(7, 10))
    path = save(tmp_path, "b.csv", f"Export 15.09.2025;;\ntext;label;date\n{rows}")
    assert len(read_labelled_rows(path, TOPICS, [])[0]) == 10


def test_a_merged_cell_counts_for_all_of_its_rows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    rows = [
        ("Our table", None, None),
        ("text", "label", "group"),
        ("A", "trade", 1),
        ("B",),
        ("C",),
    ]
    for row in rows:
        sheet.append(row)
    for place in ("A1:C1", "B3:B5", "C3:C4"):
        sheet.merge_cells(place)
    book.save(tmp_path / "set.xlsx")
    frame, _ = read_labelled_rows(tmp_path / "set.xlsx", TOPICS, [])
    assert frame["label"].tolist() == [["trade"]] * 3
    assert frame["article"].tolist() == ["set/1", "set/1", frame["id"][2]]


@pytest.mark.parametrize("formula", ["=B2", ArrayFormula("B3", "=B2")])
def test_a_formula_of_any_kind_needs_its_result(tmp_path: Path, formula: object) -> None:
    book = openpyxl.Workbook()
    for row in (("text", "label"), ("A", "trade"), ("B", formula)):
        book.active.append(row)
    book.save(tmp_path / "set.xlsx")
    with pytest.raises(UserError, match=r"row 3: .*formula =B2"):
        read_labelled_rows(tmp_path / "set.xlsx", TOPICS, [])


@pytest.mark.parametrize("control", ["\x92", "\x7f", "\x01"])
def test_paragraphs_have_no_character_that_labels_may_not(control: str, tmp_path: Path) -> None:
    text = f"It{control}s a tariff on goods."
    (segment,) = plain_segments(text)
    assert segment.text == "Its a tariff on goods."
    path = tmp_path / "table.jsonl"
    path.write_text(f'{{"text": "It\\u{ord(control):04x}s on.", "label": "trade"}}\n', "utf-8")
    (read,) = read_labelled_rows(path, TOPICS, ())[0]["text"]
    assert read == "Its on." and decode(read.encode(), "table")
    path.write_text('{"text": "\\u0000 \\u0001", "label": "trade"}\n', "utf-8")
    with pytest.raises(UserError, match="the text is empty; remove the row"):
        read_labelled_rows(path, TOPICS, ())


@pytest.mark.parametrize("about", ["[]", "null", '{"info": []}', "5", "[" * 5000])
def test_columns_and_metadata_that_are_not_read_may_be_anything(about: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    late = pa.array([2**61], pa.timestamp("us"))
    table = pa.table({"text": ["A tariff."], "label": ["trade"], "when": late})
    pq.write_table(table.replace_schema_metadata({"huggingface": about}), path)
    frame, _ = read_labelled_rows(path, Topics("single", ("trade", "security")), ())
    assert frame["label"].tolist() == [["trade"]]
    pq.write_table(pa.Table.from_pandas(pd.DataFrame({"when": [datetime(2025, 1, 1)]})), path)
    with pytest.raises(UserError, match='no column "text".*has when'):
        read_labelled_rows(path, Topics("single", ("trade", "security")), ())
