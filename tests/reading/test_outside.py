"""Which sources are outside of a project, by a path or by a link, and whether they are trusted."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.project.params import Prepare
from paratopic.reading.outside import is_trusted, refuse_untrusted, sources_outside, trust
from tests.samples import PARAMS


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder beside the project, of articles."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("Tariffs rose.")
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an article, the current directory."""
    root = tmp_path / "project"
    (root / "seeds/more").mkdir(parents=True)
    (root / "seeds/own.txt").write_text("Talks went on.")
    monkeypatch.chdir(root)
    return root


def reading(*sources: str, labels: str | None = None) -> Prepare:
    return replace(PARAMS.prepare, sources=sources, labels=labels)


def test_sources_inside_are_not_listed(root: Path) -> None:
    (root / "seeds/more/link.txt").symlink_to("../own.txt")
    own = str(root / "seeds/own.txt")
    assert sources_outside(reading("seeds", "seeds/*.txt", own, "gone", labels="gone.csv")) == []


def test_paths_and_links_that_lead_outside_are_listed_once_each(
    root: Path, elsewhere: Path
) -> None:
    (root / "seeds/more/b.txt").symlink_to("../../../elsewhere/b.txt")  # seeds/all has it, too
    (root / "seeds/all").symlink_to(elsewhere)
    (root / "way").symlink_to("seeds/more")
    whole, b = f"{elsewhere}/*.txt", elsewhere / "b.txt"
    assert sources_outside(reading("seeds", "way", whole, "../elsewhere", labels=str(b))) == [
        f"seeds/all -> {elsewhere}",
        f"way/b.txt -> {b}",
        whole,
        f"../elsewhere -> {elsewhere}",
        str(b),
    ]


def test_no_line_of_the_list_can_hide_another(root: Path, elsewhere: Path) -> None:
    hidden = elsewhere.rename(elsewhere.with_name("\x1b[1A\x1b[2K"))
    (listed,) = sources_outside(reading(str(hidden)))
    assert listed == str(hidden).replace("\x1b", r"\x1b")


def test_a_project_is_trusted_with_what_was_listed_alone(root: Path, elsewhere: Path) -> None:
    folder, file = reading(str(elsewhere)), reading(str(elsewhere / "a.txt"))
    trust()
    assert is_trusted()
    with pytest.raises(UserError, match=rf"^{elsewhere}: outside .* `paratopic trust` lists"):
        refuse_untrusted(folder)
    trust(sources_outside(folder))
    (elsewhere / "new.txt").write_text("Chips.")
    trust()  # as each run does
    refuse_untrusted(folder)
    with pytest.raises(UserError, match="paratopic trust"):
        refuse_untrusted(file)


def test_trust_is_kept_by_user_and_project(
    root: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    trust()
    assert len(list((tmp_path / "home/.local/state/paratopic").iterdir())) == 1
    assert [path.name for path in root.iterdir()] == ["seeds"]
    monkeypatch.chdir(elsewhere)
    assert not is_trusted()
    # Where DVC runs an experiment, a copy of the project is the current directory.
    (root / ".dvc/tmp/exps/x").mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(root))
    os.chdir(root / ".dvc/tmp/exps/x")
    assert is_trusted() and sources_outside(reading(str(root / "seeds"))) == []
