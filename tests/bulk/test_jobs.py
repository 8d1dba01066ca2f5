"""Bulk prediction of every format, and runs that are interrupted and resumed."""

from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paratopic.bulk import jobs
from paratopic.bulk.formats import FORMATS, Parquet
from paratopic.inference.model import Model
from paratopic.project.errors import SOME_ERRORS, UserError
from paratopic.reading.article_files import find_files
from paratopic.tables.workbook import Tab, write_workbook
from tests.bulk.bulk_runs import Interrupted, predict, predicted, read_rows, read_shards
from tests.documents import PAGE, save
from tests.programs import Cli

pytestmark = pytest.mark.usefixtures("small_shards")


def test_parquet_keeps_its_columns_and_their_types(model: Model, tmp_path: Path) -> None:
    table = pa.table(
        {
            "when": pa.array([1, 2, 3, 4, None], pa.timestamp("ms")),
            "text": ["a tariff", "the army", None, " ", "a chip"],
            "tags": [["x"], [], None, ["y", "z"], ["x"]],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    assert len(predicted(model, tmp_path / "in.parquet", errors=1)) == 5
    names = [f"00000-in-0000{number}.parquet" for number in range(2)]
    assert list(read_shards(tmp_path / "out")) == names
    output = pa.concat_tables(map(pq.read_table, sorted((tmp_path / "out").glob("*.parquet"))))
    assert output.select(table.schema.names).equals(pq.read_table(tmp_path / "in.parquet"))
    valid = output.filter(pa.compute.is_null(output["error"])).to_pylist()
    predictions = model.predict(["a tariff", "the army", " ", "a chip"])
    for row, prediction in zip(valid, predictions, strict=True):
        assert row["predicted_topic"] == prediction.topic
        assert (row["confidence"], row["sure"]) == (prediction.confidence, prediction.sure)
        assert row["score_trade"] == prediction.scores["trade"]
    assert output["sure"].type == pa.bool_()
    assert [row["windows"] for row in valid] == [1, 1, 0, 1]
    assert output["error"].to_pylist() == [None, None, "no text", None, None]
    assert output["confidence"].to_pylist()[2] is output["sure"].to_pylist()[2] is None


def test_csv_keeps_its_cells_and_bad_rows_get_an_error(model: Model, tmp_path: Path) -> None:
    cells = b'007,"a ""tariff"",\nrose"\r\n1\r\n2,the army,more\r\n\r\n,a chip\r\n5,caf\xe9\n'
    rows = predicted(model, save(tmp_path, "in.csv", b"id,text\r\n" + cells), errors=3)
    assert [row["id"] for row in rows] == ["007", "1", "2", "", "5"]
    assert rows[0]["text"] == 'a "tariff",\nrose'
    assert [row["predicted_topic"] != "" for row in rows] == [True, False, False, True, False]
    sure = [str(row.sure) for row in model.predict(['a "tariff",\nrose', "a chip"])]
    assert [row["sure"] for row in rows] == [sure[0], "", "", sure[1], ""]
    assert list(rows[0])[2:] == list(jobs.Job(model, [], "").added)
    assert rows[1]["error"] == '1 cells under 2 columns: ["1"]'
    assert rows[2]["error"] == '3 cells under 2 columns: ["2", "the army", "more"]'
    assert rows[4]["error"].startswith("not UTF-8; save the table as")


def test_csv_keeps_its_separator(model: Model, tmp_path: Path) -> None:
    content = '\ufeffn;text\n1,5;a "tariff", up\n2;"the; army"\n'
    path = save(tmp_path, f"{'é' * 120}.csv", content)  # names of shards are cut
    progress = predict(model, [path], tmp_path / "out")
    assert (progress.rows, progress.errors) == (2, 0)
    (shard,) = read_shards(tmp_path / "out").values()
    assert [row[:3] for row in csv.reader(shard.decode().splitlines(), delimiter=";")] == [
        ["n", "text", "predicted_topic"],
        ["1,5", 'a "tariff", up', "trade"],
        ["2", "the; army", "security"],
    ]


def test_a_workbook_gives_the_bytes_of_the_same_csv_file_or_an_error(
    model: Model, tmp_path: Path
) -> None:
    rows: list[list[object]] = [["n", "text"], [1, "a tariff"], [2.5, "=1+1"], [None, "the army"]]
    write_workbook(tmp_path / "a.xlsx", Tab([*rows, [4, None], [5, "a chip", "more"]]))
    save(tmp_path, "a.csv", "n,text\n1,a tariff\n2.5,=1+1\n,the army\n4,\n5,a chip,more\n")
    for suffix in ("xlsx", "csv"):
        progress = predict(model, [tmp_path / f"a.{suffix}"], tmp_path / suffix)
        assert (progress.rows, progress.errors) == (5, 1)
    assert read_shards(tmp_path / "xlsx") == read_shards(tmp_path / "csv")
    (row,) = predicted(model, save(tmp_path, "a.xlsx", b"PK"), errors=1)
    assert "a.xlsx: is not a whole workbook" in row["error"]


def test_cells_below_a_title_may_be_empty(model: Model, tmp_path: Path) -> None:
    rows: list[list[object]] = [["id", "text", "n"], [1, "a tariff", 2], [2, "a chip"]]
    write_workbook(tmp_path / "in.xlsx", Tab([["Survey"], *rows]))
    assert [row["n"] for row in predicted(model, tmp_path / "in.xlsx")] == ["2", ""]


def test_json_lines_that_are_not_objects_are_kept_with_an_error(
    model: Model, tmp_path: Path
) -> None:
    good = [{"text": "a tariff", "n": [1, {"deep": None}]}, {"text": 7}, {"title": "x"}]
    added = '{"text": "x", "error": "y"}'
    written = [json.dumps(row) for row in good] + ["", "{", "[1]", '{"text": "the army"}', added]
    path = save(tmp_path, "in.jsonl", "\n".join(written) + "\n")
    rows = predicted(model, path, errors=5)
    assert rows[0]["n"] == [1, {"deep": None}]
    assert [rows[0]["sure"], rows[1]["sure"]] == [model.predict("a tariff").sure, None]
    assert [row["error"] and row["error"].split(" (")[0] for row in rows] == [
        None,
        "the text is int, not a string",
        "no text",
        "line 5: not JSON",
        "line 6: not a JSON object",
        None,
        "line 8: has a key error, which prediction would add; rename it",
    ]
    assert (rows[3]["line"], rows[4]["line"], rows[2]["title"]) == ("{", [1], "x")
    assert rows[6]["line"] == json.loads(added)


def test_articles_become_paragraphs_and_a_damaged_one_a_row_with_an_error(
    model: Model, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    save(tmp_path, "b.txt", "Tariffs\n\nThe tariff rose.\n\nThe navy left.\n")
    save(tmp_path, "a.md", b"\x00\x01\x02\xff" * 50)
    save(tmp_path / "sub", "c.txt", "The app was banned by the ministry.\n")
    save(tmp_path, "picture.png", b"")
    inputs, _ = find_files([str(tmp_path), str(tmp_path / "*.txt")], FORMATS)
    assert [path.name for path in inputs] == ["a.md", "b.txt", "c.txt"]
    rows = predicted(model, *inputs, errors=1)
    assert [row["text"] for row in rows[1:3]] == ["The tariff rose.", "The navy left."]
    assert rows[0]["article"] == "a" and "a.md" in rows[0]["error"]
    assert rows[1]["heading"] == "Tariffs"


def test_paragraphs_have_the_fields_of_their_article_as_columns(
    model: Model, tmp_path: Path
) -> None:
    for name in ("a-2025-09-15.txt", "b.txt"):
        save(tmp_path, name, "The tariff rose.\n")
    sheet = save(tmp_path, "metadata.csv", "article,source,title,error\nb,Post,x,y\n")
    inputs, _ = find_files([str(tmp_path)], FORMATS)
    first, second = predicted(model, *inputs)
    assert first["date"] == "2025-09-15" and "source" not in first
    # Columns of paragraphs and of predictions keep their meaning.
    assert (second["source"], second["title"], second["error"]) == ("Post", "", None)
    sheet.write_text("article,date\nb,soon\n")
    with pytest.raises(UserError, match="cannot be resumed: the inputs changed"):
        predict(model, inputs, tmp_path / "out", resume=True)
    with pytest.raises(UserError, match=r'metadata\.csv, row 2: the date "soon" cannot be read'):
        predict(model, inputs, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_skipped_parts_are_listed_next_to_the_shards(model: Model, tmp_path: Path) -> None:
    save(tmp_path, "page.html", PAGE)
    save(tmp_path, "plain.txt", "The tariff rose.\n")
    assert len(predicted(model, *find_files([str(tmp_path)], FORMATS)[0])) == 4
    names = ["00000-page-00000.jsonl", "00001-plain-00000.jsonl"]
    assert list(read_shards(tmp_path / "out")) == names
    (skipped,) = tmp_path.glob("out/_skipped*")
    assert skipped.name == "_skipped-00000-page.jsonl"
    first = {"article": "page", "position": 0, "text": "Home | World | Sport"}
    lines = skipped.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == first | {"reason": "navigation"}


@pytest.mark.parametrize("name", ["in.parquet", "in.csv", "in.jsonl"])
def test_an_empty_table_gives_an_empty_shard(model: Model, tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"text": pd.Series([], dtype="string")})
    frame.to_parquet(tmp_path / "in.parquet")
    frame.to_csv(tmp_path / "in.csv", index=False)
    (tmp_path / "in.jsonl").write_text("\n")
    assert predicted(model, tmp_path / name) == []
    assert list(read_shards(tmp_path / "out")) == [f"00000-in-00000{Path(name).suffix}"]
    assert predict(model, [tmp_path / name], tmp_path / "out", resume=True).rows == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("title\nx\n", "no column text; it has: title. Name one with --text"),
        ("", "no column text; it has: none."),
        ("text,confidence\nx,1\n", "a column confidence"),
        ("text,a,a\nx,1,2\n", "two columns a"),
        ("text,,\nx,1,2\n", "columns without a name; name or delete one"),
        ("t\0e\0x\0t\0\n\0", "UTF-16"),
    ],
)
def test_tables_with_wrong_columns_are_refused(
    model: Model, tmp_path: Path, content: str, message: str
) -> None:
    good = save(tmp_path, "good.csv", "text\nA tariff.\n")
    (tmp_path / "in.csv").write_text(content)
    for _ in range(2):  # the first failure leaves no file that stops a second run
        with pytest.raises(UserError, match=message):
            predict(model, [good, tmp_path / "in.csv"], tmp_path / "out")
    pq.write_table(pa.table({"title": ["x"]}), tmp_path / "in.parquet")
    save(tmp_path, "in.jsonl", '{"text": "A tariff.", "sure": true}\n')
    for name, problem in (("in.parquet", "no column text"), ("in.jsonl", "a column sure")):
        with pytest.raises(UserError, match=f"{name} has {problem}"):
            predict(model, [good, tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def pages(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "pages.parquet"
    texts = [f"The tariff on goods, number {number:02}." for number in range(12)]
    table = pa.table({"n": range(12), "text": texts})
    pq.write_table(table, path, row_group_size=4, compression="none", write_page_checksum=True)
    return path, path.read_bytes()


def test_damaged_parquet_is_refused_before_anything_is_written(
    model: Model, tmp_path: Path, pages: tuple[Path, bytes]
) -> None:
    path, content = pages
    assert content.count(b"number 06") == 1
    binary = pa.array([b"the army", b"caf\xe9"])
    pq.write_table(pa.table({"text": binary.view(pa.string())}), tmp_path / "strings.parquet")
    strings = (tmp_path / "strings.parquet").read_bytes()
    (tmp_path / "a.csv").write_text("text\nA tariff.\n")
    for damaged, row, problem in (
        (content.replace(b"number 06", b"number !!"), 3, "page"),
        (content[:-9], 0, "magic bytes"),
        (b"", 0, "0 bytes"),
        (strings, 0, "UTF8"),
    ):
        path.write_bytes(damaged)
        message = rf"pages\.parquet is not a whole parquet file: after {row} rows .*{problem}"
        with pytest.raises(UserError, match=rf"(?s){message}.* Write it again, or leave it out\."):
            predict(model, [tmp_path / "a.csv", path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_a_character_or_deep_nesting_gives_an_error_only_in_its_row(
    model: Model, tmp_path: Path
) -> None:
    lines = [
        r'{"text": "a tariff \ud83d"}',
        r'{"text": "a tariff", "user": {"name": ["\ud83d"]}}',
        r'{"text": "a tariff", "\udc00": 1}',
        r'["\ud83d"]',
        "[" * 1_000_000,
        '{"text": "the army"}',
    ]
    path = save(tmp_path, "in.jsonl", "\n".join(lines))
    progress = predict(model, [path], tmp_path / "out")
    assert progress == predict(model, [path], tmp_path / "out", resume=True)
    rows = read_rows(tmp_path / "out")
    half = "half of a surrogate pair, which is no character"
    assert [row["error"] and row["error"].split(" (")[0] for row in rows] == [
        *(f"line {number}: {half}" for number in (1, 2, 3, 4)),
        "line 5: not JSON",
        None,
    ]
    assert (rows[1]["user"], rows[4]["line"]) == ({"name": ["?"]}, lines[4])
    assert rows[5]["confidence"] == model.predict("the army").confidence


def test_csv_has_no_formulas(model: Model, tmp_path: Path) -> None:
    formulas = "=1+1~+cmd|' /C calc'!A0~-2+3~@SUM(1)~\t=1~\r=1~＝1+1~'=1~ =1".split("~")
    harmless = ["-1", "+1.5e-3", "-0,5%", "1=1", "-", ""]
    cells = [*formulas, *harmless]
    table, path = pd.DataFrame({"=x": cells, "text": "a tariff"}), tmp_path / "in.csv"
    table.to_csv(path, index=False, lineterminator="\r\n")
    written = [row["'=x"] for row in predicted(model, path)]
    assert written == [*(f"'{formula}" for formula in formulas), *harmless]


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    texts = [f"The tariff and the army, number {n}." for n in range(8)]
    frame = pd.DataFrame({"text": texts, "n": range(8)})
    frame.to_csv(tmp_path / "one.csv", index=False)
    frame.to_parquet(tmp_path / "two.parquet")
    (tmp_path / "three.txt").write_text("\n\n".join(texts))
    (tmp_path / "four.jsonl").write_text('{"text": "a chip"}\n{"text": null}\n')
    return [tmp_path / name for name in ("one.csv", "two.parquet", "three.txt", "four.jsonl")]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(st.integers(0, 12), max_size=4))
def test_interrupted_and_resumed_runs_write_the_same_bytes(
    model: Model, inputs: list[Path], tmp_path_factory: pytest.TempPathFactory, moments: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("resumed")
    uninterrupted = predict(model, inputs, folder / "whole")
    out = folder / "out"
    for number, moment in enumerate(moments):
        calls = 0

        def interrupt(rows: int, share: float, moment: int = moment) -> None:
            nonlocal calls
            calls += 1
            if calls > moment:
                raise Interrupted

        try:
            jobs.predict_files(jobs.Job(model, inputs, "text"), out, number > 0, interrupt)
        except Interrupted:
            # A killed process may leave a hidden draft of the file that it was writing.
            (out / ".00000-one-00001.csv.1.draft").write_text("half a row")
    assert predict(model, inputs, out, resume=bool(moments)) == uninterrupted
    assert read_shards(out) == read_shards(folder / "whole")


def test_another_run_is_not_resumed(model: Model, inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(model, inputs[:1], out)
    with pytest.raises(UserError, match="not empty.*--resume"):
        predict(model, inputs[:1], out)
    with pytest.raises(UserError, match="the inputs changed since"):
        predict(model, inputs, out, resume=True)
    with pytest.raises(UserError, match="--text changed since"):
        jobs.predict_files(jobs.Job(model, inputs[:1], "n"), out, True, lambda *_: None)
    os.utime(inputs[0], (1, 1))
    with pytest.raises(UserError, match="the inputs changed since"):
        predict(model, inputs[:1], out, resume=True)
    with pytest.raises(UserError, match="is a file"):
        predict(model, inputs[:1], inputs[0])
    predict(model, inputs[:1], tmp_path / "fresh", resume=True)


def test_resuming_removes_only_its_own_drafts(
    model: Model, inputs: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / f".{jobs.PLAN}.31775.draft").touch()  # a run was killed while it wrote its plan
    assert predict(model, inputs, out, resume=True).rows == 26
    drafts = [f".{name}.31775.draft" for name in [*read_shards(out), jobs.PLAN, jobs.PROGRESS]]
    for name in [*drafts, ".gitignore", ".00000-one.csv", ".nfs0001"]:
        (out / name).touch()
    (out / ".git").mkdir()
    predict(model, inputs, out, resume=True)
    hidden = {path.name for path in out.iterdir() if path.name.startswith(".")}
    assert hidden == {".gitignore", ".00000-one.csv", ".nfs0001", ".git"}


@pytest.mark.parametrize("place", [0, 2, -1])
def test_a_run_whose_shards_are_missing_or_empty_is_not_resumed(
    model: Model, inputs: list[Path], tmp_path: Path, place: int
) -> None:
    out = tmp_path / "out"
    progress = predict(model, inputs, out)
    assert progress.shards == len(read_shards(out)) == 10
    shard = out / list(read_shards(out))[place]
    if place:
        shard.unlink()
    else:
        shard.write_bytes(b"")
    save(out, "00000-other-00007.csv", "of nobody")
    with pytest.raises(UserError, match="of 10 files that were written 9 are there"):
        predict(model, inputs, out, resume=True)


def test_on_the_command_line_a_full_disk_is_reported_and_the_run_resumed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, model: Model, inputs: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["predict", "--model", model.folder, *inputs]
    assert "one.csv is a table" in cli(*words, status=1).out
    words += ["--out", out]
    with monkeypatch.context() as full:
        write = Parquet.write

        def fail(self: Parquet, path: Path, *rest: Any) -> None:
            write(self, path, *rest)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        full.setattr(Parquet, "write", fail)
        printed = cli(*words, status=1).out
    assert "No space left on device" in printed and "--resume" in printed
    printed = cli(*words, "--resume", status=SOME_ERRORS).out
    assert printed.startswith(f"folder {out}: 26 rows from 4 files, 1 with an error\n")
    predict(model, inputs, tmp_path / "whole")
    assert read_shards(out) == read_shards(tmp_path / "whole")


def test_a_folder_that_another_run_is_writing_into_is_refused(model: Model, tmp_path: Path) -> None:
    inputs = [save(tmp_path, "in.csv", "text\nA tariff.\n")]
    out, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(out)

    def second_run(rows: int, share: float) -> None:
        for place in (out, link):
            with pytest.raises(UserError, match="another program"):
                jobs.predict_files(jobs.Job(model, inputs, "text"), place, True, lambda *_: None)

    progress = jobs.predict_files(jobs.Job(model, inputs, "text"), out, False, second_run)
    assert progress.rows == 1 and len(read_shards(out)) == 1


def test_a_damaged_list_of_files_is_named_when_a_run_is_resumed(
    model: Model, tmp_path: Path
) -> None:
    path, out = save(tmp_path, "in.csv", "text\nA tariff.\n"), tmp_path / "out"
    predict(model, [path], out)
    for content in ("[" * 100_000, "{", "[]", '{"inputs": 0}'):
        (out / jobs.PROGRESS).write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=f"{jobs.PROGRESS} is damaged"):
            predict(model, [path], out, resume=True)


def test_a_run_ends_with_counts_and_the_expected_share_of_right_predictions(
    rows: pd.DataFrame, model: Model, tmp_path: Path, cli: Cli
) -> None:
    path = tmp_path / "in.csv"
    pd.DataFrame({"text": [*rows["text"], " "]}).to_csv(path, index=False)
    predictions = model.predict(rows["text"])
    right = [row.confidence if row.topic else 1 - sum(row.scores.values()) for row in predictions]
    progress = predict(model, [path], tmp_path / "counted")
    assert sum(progress.counts) == len(rows)  # the blank text does not count
    assert progress.right == pytest.approx(sum(right))
    for out in ("out", "out.csv"):
        printed = cli("predict", path, "--model", model.folder, "--out", tmp_path / out).out
        assert "These counts are not the true shares of the topics" in printed
        assert f"about {np.mean(right):.0%} of these answers are right" in printed


def test_a_column_that_no_file_can_have_is_refused(cli: Cli, model: Model, tmp_path: Path) -> None:
    article = save(tmp_path, "a.txt", "Talks went on.")
    words = ["--model", model.folder, "--out", tmp_path / "out", "--text", "caf\udce9"]
    printed = cli("predict", article, *words, status=1).out
    assert r"--text 'caf\udce9': this name is not UTF-8" in printed
    assert not (tmp_path / "out").exists()
