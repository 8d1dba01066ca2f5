"""Sources of all kinds in one paragraph table, and skipped files."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.corpus.table import PARAGRAPHS_SCHEMA
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.source_settings import Source
from paratopic.reading.article import Skipped
from paratopic.reading.sources import Sources, read_sources
from tests.documents import PAGE, SAMPLES, save

TEXT = "Trade\n\nThe tariff on goods rose.\n\nPhoto: Harbour Press\n"
TABLE = "text,label\nThe army crossed the border.,security\nIt rained.,other\nNo label.,\n"
NAME_IT = "name it in prepare.sources of params.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, "plain.txt", TEXT)
    save(tmp_path, "marked.md", f"# Steel\n\n{TEXT}")
    save(tmp_path, "page.html", PAGE)
    (tmp_path / "sub").mkdir()
    save(tmp_path / "sub", "printed.pdf", SAMPLES[".pdf"])
    save(tmp_path / "sub", "word.docx", SAMPLES[".docx"])
    save(tmp_path, "table.csv", TABLE)
    return tmp_path


def test_articles_of_every_format_in_a_folder(folder: Path) -> None:
    frame, votes, skipped, *_ = read_sources(Paths(), [str(folder)], [], [])
    assert list(frame.columns) == PARAGRAPHS_SCHEMA.names
    counts = {"marked": 1, "page": 3, "plain": 1, "printed": 1, "word": 1}
    assert frame.groupby("article", sort=False).size().to_dict() == counts
    assert frame["heading"][0] == "Steel / Trade"
    assert votes.empty
    assert [part for part in skipped if part.article != "page"] == [
        Skipped(str(folder / "table.csv"), 0, "", "a table that prepare.sources does not name"),
        Skipped("marked", 1, "Photo: Harbour Press", "caption or credit"),
        Skipped("plain", 1, "Photo: Harbour Press", "caption or credit"),
    ]


def test_a_table_is_read_where_it_is_named(folder: Path) -> None:
    sources = [str(folder / "table.csv"), str(folder / "plain.txt")]
    frame, votes, skipped, *_ = read_sources(Paths(), sources, [], ["other"])
    assert [text.split(" ")[0] for text in frame["text"]] == ["The", "It", "No", "The"]
    assert list(votes["topics"]) == [["security"], []]
    assert list(votes["paragraph"]) == list(frame["id"][:2])
    assert list(frame.index) == [0, 1, 2, 3]
    assert [part.article for part in skipped] == ["plain"]


def test_the_projects_own_files_are_not_reported(folder: Path) -> None:
    own_files = [folder / "table.csv", folder / "sub/../notes.odt"]
    (folder / "notes.odt").touch()
    (folder / "more.odt").touch()
    save(folder, "caf\udce9.txt", TEXT)  # its name is written with an escape
    _, _, skipped, *_ = read_sources(Paths(folder), ["."], own_files, [])
    assert [part for part in skipped if not part.text] == [
        Skipped("caf\\udce9.txt", 0, "", "a name that is not UTF-8"),
        Skipped("more.odt", 0, "", "a file of another kind"),
    ]


def test_a_projects_folder_changes_no_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "empty.txt").touch()
    save(folder, "metadata.csv", "article,source\ngone,Post\n")
    save(folder, "unnamed.csv", "text\nSteel.\n")
    sources = [".", "table.csv"]
    whole = read_sources(Paths(folder), sources, [], [])
    assert {name.partition(",")[0] for name in whole.votes["where"]} == {"table.csv"}
    monkeypatch.chdir(folder)
    here = read_sources(Paths(), sources, [], [])
    assert here.notes == whole.notes
    assert [note.split()[0] for note in whole.notes] == ["metadata.csv:", "unnamed.csv"]
    assert here.frame.equals(whole.frame) and here.votes.equals(whole.votes)
    assert here.metadata.equals(whole.metadata) and here.skipped == whole.skipped


def test_two_sources_of_one_name_are_refused(folder: Path) -> None:
    save(folder / "sub", "plain.pdf", SAMPLES[".pdf"])
    with pytest.raises(UserError, match=r"plain\.pdf and .*plain\.txt"):
        read_sources(Paths(), [str(folder)], [], [])


def test_patterns_without_sources_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"^prepare\.sources: .*\*\.odt matches no file"):
        read_sources(Paths(), [str(folder / "plain.txt"), str(folder / "*.odt")], [], [])
    (folder / "notes.rtf").touch()
    known = r"\.txt, \.md, \.html, \.htm, \.docx, \.pdf, \.csv, \.xlsx, \.jsonl, \.parquet$"
    with pytest.raises(UserError, match=rf"notes\.rtf: sources are {known}"):
        read_sources(Paths(), [str(folder / "notes.rtf")], [], [])


def test_files_that_cannot_be_read_are_skipped_with_their_reasons(folder: Path) -> None:
    whole, _, skipped, *_ = read_sources(Paths(), [str(folder)], [], [])
    broken = save(folder, "broken.pdf", SAMPLES[".pdf"][:40])
    empty = save(folder, "empty.txt", "")
    notice = save(folder, "notice: day 2.txt", "© 2031")
    frame, _, more, *_ = read_sources(Paths(), [str(folder), str(empty)], [], [])
    assert frame.equals(whole)
    left_out = [part for part in more if part not in skipped]
    assert [(part.article, part.position, part.text) for part in left_out] == [
        (str(path), 0, "") for path in (broken, empty, notice)
    ]
    for part, why in zip(left_out, ("PDF", "holds no text", "© 2031"), strict=True):
        assert part.reason.startswith("unreadable: ") and why in part.reason


def test_sources_none_of_which_can_be_read_are_an_error(folder: Path) -> None:
    empty = [str(save(folder, name, "")) for name in ("a.txt", "b.html")]
    with pytest.raises(UserError, match=r"\n.*a\.txt: .*\n.*b\.html: "):
        read_sources(Paths(), empty, [], [])


def read_with_fields(folder: Path) -> Sources:
    """Read articles and a table whose fields come from all origins."""
    save(folder, "plain-2025-09.txt", f"{TEXT}\n\nThe army crossed the border.\n")
    save(folder, "metadata.csv", "article,source,date\nmarked,Post,\nplain,Post,2025\ngone,Post,\n")
    save(folder, "empty.txt", "")
    save(folder, "more.csv", "text,label,date,beat\nIt rained.,other,1 May,7\nIt did.,other,,\n")
    sources = [str(folder), str(folder / "more.csv")]
    return read_sources(Paths(), sources, [], ["other"])


def test_each_paragraph_has_the_fields_of_its_article_or_row(folder: Path) -> None:
    frame, _, _, metadata, *_, articles = read_with_fields(folder)
    assert articles == {*frame["article"][:-2]}  # without the rows of the table
    assert list(metadata) == ["id", "date", "author", "beat", "source"]
    assert list(metadata["id"]) == list(frame["id"])
    rows = zip(frame["article"], metadata.fillna("").to_numpy().tolist(), strict=True)
    assert {(name.partition(":")[0], *row[1:]) for name, row in rows} == {
        ("marked", "", "", "", "Post"),
        ("more", "1 May", "", "7", ""),
        ("more", "", "", "", ""),
        ("page", "", "", "", ""),
        ("plain", "2025", "", "", "Post"),
        ("plain-2025-09", "2025-09", "", "", ""),
        ("printed", "", "", "", ""),
        ("word", "2013-12-23", "python-docx", "", ""),
    }


def test_origins_of_fields_are_counted_and_unread_dates_noted(folder: Path) -> None:
    _, _, skipped, metadata, origins, notes, _ = read_with_fields(folder)
    kinds = ("metadata.csv", "file names", "documents", "tables")
    once = [*(("date", kind) for kind in kinds), ("author", "documents"), ("beat", "tables")]
    assert origins == dict.fromkeys(once, 1) | {("source", "metadata.csv"): 2}
    (row,) = metadata["id"][metadata["date"] == "1 May"]
    gone, named, unread = notes
    assert gone.startswith(f"{folder}/metadata.csv: ") and gone.endswith(": gone")
    assert named.startswith(f"{folder}/table.csv ") and NAME_IT in named
    assert unread.startswith("1 date ") and unread.endswith(f": 1 May ({row})")
    assert not [part for part in skipped if "metadata" in part.article]


def test_keys_of_a_source_name_the_columns_of_a_table(folder: Path) -> None:
    save(folder, "own.csv", "body,topic\nIt rained.,Rain\n")
    own = Source(str(folder / "o*.csv"), text="body", label="topic", labels={"Rain": "none"})
    frame, votes, *_ = read_sources(Paths(), [str(folder / "table.csv"), own], [], ["other"])
    assert frame["text"].tolist()[-1] == "It rained." and votes["topics"].tolist()[-1] == []
    with pytest.raises(UserError, match=r"prepare\.sources: .*own\.csv .*twice"):
        read_sources(Paths(), [own, own], [], [])
    with pytest.raises(UserError, match=r"plain\.txt is no table \(\.csv, "):
        read_sources(Paths(), [own, Source(str(folder / "plain.txt"), text="body")], [], [])


def test_a_folder_with_only_a_table_is_refused_with_a_hint(tmp_path: Path) -> None:
    labels = save(tmp_path, "labels.csv", "paragraph,topics,text\n")
    save(tmp_path, "metadata.csv", "article\n")
    table = save(tmp_path, "table.csv", TABLE)
    with pytest.raises(UserError, match="has no article: add some") as error:
        read_sources(Paths(), [str(tmp_path)], [labels], [])
    (line,) = str(error.value).splitlines()[1:]
    assert line.startswith(f"{table} ") and NAME_IT in line
