"""Sources outside of a project, by a path or by a link, and trust in the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.project.folder import Project
from paratopic.reading.outside import is_trusted, refuse_untrusted, sources_outside, trust
from tests.samples import PARAMS, with_params


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of articles outside of the project."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("Tariffs rose.")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with an article."""
    root = tmp_path / "project"
    (root / "seeds/more").mkdir(parents=True)
    (root / "seeds/own.txt").write_text("Talks went on.")
    return root


def reading(root: Path, *sources: str, labels: str | None = None) -> Project:
    prepare = replace(PARAMS.prepare, sources=sources, labels=labels)
    return with_params(root, replace(PARAMS, prepare=prepare))


def test_sources_inside_are_not_listed(root: Path) -> None:
    (root / "seeds/more/link.txt").symlink_to("../own.txt")
    own = str(root / "seeds/own.txt")
    assert (
        sources_outside(reading(root, "seeds", "seeds/*.txt", own, "gone", labels="gone.csv")) == []
    )


def test_paths_and_links_that_lead_outside_are_listed_once_each(
    root: Path, elsewhere: Path
) -> None:
    (root / "seeds/more/b.txt").symlink_to("../../../elsewhere/b.txt")  # seeds/all has it, too
    (root / "seeds/all").symlink_to(elsewhere)
    (root / "way").symlink_to("seeds/more")
    whole, b = f"{elsewhere}/*.txt", elsewhere / "b.txt"
    assert sources_outside(reading(root, "seeds", "way", whole, "../elsewhere", labels=str(b))) == [
        f"seeds/all -> {elsewhere}",
        f"way/b.txt -> {b}",
        whole,
        f"../elsewhere -> {elsewhere}",
        str(b),
    ]


def test_no_line_of_the_list_can_hide_another(root: Path, elsewhere: Path) -> None:
    hidden = elsewhere.rename(elsewhere.with_name("\x1b[1A\x1b[2K"))
    (listed,) = sources_outside(reading(root, str(hidden)))
    assert listed == str(hidden).replace("\x1b", r"\x1b")


def test_a_trusted_project_may_read_only_the_listed_sources(root: Path, elsewhere: Path) -> None:
    folder, file = reading(root, str(elsewhere)), reading(root, str(elsewhere / "a.txt"))
    trust(folder)
    assert is_trusted(folder)
    with pytest.raises(UserError, match=rf"^{elsewhere}: outside .* `paratopic trust` lists"):
        refuse_untrusted(folder)
    trust(folder, sources_outside(folder))
    (elsewhere / "new.txt").write_text("Chips.")
    trust(folder)  # as each run does
    refuse_untrusted(folder)
    with pytest.raises(UserError, match="paratopic trust"):
        refuse_untrusted(file)


def test_trust_is_kept_by_user_and_project(
    root: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    trust(Project(root))
    assert len(list((tmp_path / "home/.local/state/paratopic").iterdir())) == 1
    assert [path.name for path in root.iterdir()] == ["seeds"]
    assert not is_trusted(Project(elsewhere))
    # Where DVC runs an experiment, a copy of the project is the current directory.
    (root / ".dvc/tmp/exps/x").mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(root))
    trial = reading(root / ".dvc/tmp/exps/x", str(root / "seeds"))
    assert is_trusted(trial) and sources_outside(trial) == []
