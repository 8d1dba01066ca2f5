"""Finding files, and reading files of any format, damaged ones included."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.project.files import printable
from paratopic.reading.article_files import SUFFIXES, find_files, read_file
from tests.documents import save


def test_files_of_folders_and_globs_and_skipped_files(tmp_path: Path) -> None:
    present = "b.PDF a.txt picture.png .hidden.txt labels.csv saved.html saved_files/advert.html"
    for name in [*present.split(), "sub/c.docx"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files, left_out = find_files([str(tmp_path)], SUFFIXES)
    names = [str(path.relative_to(tmp_path)) for path in files]
    assert names == ["a.txt", "b.PDF", "saved.html", "sub/c.docx"]
    assert [(path.name, reason) for path, reason in left_out] == [
        ("picture.png", "a file of another kind"),
        ("saved_files", "part of a saved web page"),
    ]
    assert find_files([str(tmp_path / "*.txt"), str(tmp_path / "a.txt")], [".txt"])[0] == files[:1]
    with_labels, left_out = find_files([str(tmp_path), str(tmp_path / "labels.csv")], SUFFIXES)
    assert with_labels == [*files, tmp_path / "labels.csv"]
    assert [path.name for path, _ in left_out] == ["picture.png", "saved_files"]


def test_a_pattern_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    too_long = tmp_path / ("a" * 300 + ".txt")
    for pattern in (tmp_path / "*.odt", too_long):
        with pytest.raises(UserError, match="matches no file"):
            find_files([str(pattern)], SUFFIXES)
    with pytest.raises(UserError, match=r"has no article: add some \(\.txt, "):
        find_files([str(tmp_path)], SUFFIXES)
    with pytest.raises(UserError, match="cannot be read: File name too long"):
        read_file(too_long)


@pytest.mark.parametrize("suffix", [".txt", ".html", ".docx", ".pdf"])
def test_paths_without_a_file_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"gone{suffix}"
    with pytest.raises(UserError, match=rf"gone\{suffix}: no such file"):
        read_file(path)
    path.mkdir()
    with pytest.raises(UserError, match=r": is a folder"):
        read_file(path)


def test_files_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = save(tmp_path, "secret.txt", "")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"secret\.txt: cannot be read: Permission denied"):
        read_file(path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.txt", b"", "holds no text"),
        ("empty.html", b"", "is empty"),
        ("empty.pdf", b" \n", "is empty"),
        ("binary.html", b"\x00\x01" * 50, "is not plain text"),
        ("a.txt", b"a\n" * 100_001, "has more than 100,000 paragraphs"),
        ("a.txt", b"word " * 2_000_001, "has more than 10,000,000 characters"),
    ],
    ids=["empty text", "empty page", "empty PDF", "binary", "paragraphs", "characters"],
)
def test_files_without_text_or_with_too_much_are_refused(
    name: str, data: bytes, message: str, tmp_path: Path
) -> None:
    path = save(tmp_path, name, data)
    with pytest.raises(UserError, match=f"^{re.escape(f'{path}: {message}')}"):
        read_file(path)


def test_files_that_no_article_can_be_named_after_are_left_out(tmp_path: Path) -> None:
    name = save(tmp_path, "caf\udce9.txt", "Talks went on.")
    save(tmp_path, "a" * 251 + ".txt", "Talks went on.")
    os.mkfifo(tmp_path / "pipe.txt")  # reading it would wait for ever
    (tmp_path / "link.txt").symlink_to("gone.txt")
    files, left_out = find_files([str(tmp_path)], SUFFIXES)
    assert [path.name[:3] for path in files] == ["aaa"]
    assert [(printable(path), reason) for path, reason in left_out] == [
        (f"{tmp_path}/caf\\udce9.txt", "a name that is not UTF-8"),
        (f"{tmp_path}/link.txt", "not a file"),
        (f"{tmp_path}/pipe.txt", "not a file"),
    ]
    for read in (read_file, lambda path: find_files([str(path)], SUFFIXES)):
        with pytest.raises(UserError, match=r"caf\\udce9\.txt: has a name that is not UTF-8"):
            read(name)


def test_files_behind_several_links_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    names = "a.txt", "b/c.txt"
    for name in names:
        save(tmp_path, name, "Talks went on.")
    for link, end in {"0.old": "a.txt", "a2.txt": "a.txt", "x": ".", "b/y": ".."}.items():
        (tmp_path / link).symlink_to(end)
    files, left_out = find_files([str(tmp_path)], SUFFIXES)
    assert files == [tmp_path / name for name in names]
    assert [path.name for path, why in left_out if "another name" in why] == ["a2.txt", "y", "x"]


def test_folders_that_cannot_be_opened_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, "a.txt", "Talks went on.")
    (tmp_path / "locked").mkdir()

    def refuse(folder: Path) -> Iterator[Path]:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iter([tmp_path / "a.txt", tmp_path / "locked"])

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert find_files([str(tmp_path)], SUFFIXES)[1] == [
        (tmp_path / "locked", "a folder that cannot be read: Permission denied")
    ]


@pytest.mark.parametrize("name", ["ev\x01il", " Talks open", "Talks open ", "a\rb", "a\u2028b"])
def test_no_paragraph_has_a_name_that_labels_cannot_hold(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.txt"
    path.write_text("Talks went on.", encoding="utf-8")
    (tmp_path / "good.txt").write_text("Talks went on.", encoding="utf-8")
    with pytest.raises(UserError, match="control character, or with a blank"):
        read_file(path)
    files, left_out = find_files([str(tmp_path)], SUFFIXES)
    assert [file.name for file in files] == ["good.txt"] and left_out[0][0] == path
