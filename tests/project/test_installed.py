"""A change of code runs the stages again whose code it is, and no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paratopic.project.installed import (
    PACKAGE,
    code_without_prose,
    import_graph,
    modules_run,
    stage_digests,
)
from paratopic.project.kinds import KINDS
from tests.conftest import TRACE

Digests = dict[str, str]
ALL = {"installed", "prepare", "split", "calibrate", "evaluate", "package", "card"}
ALL |= {"compare", "report", "track"}
FITS = {f"{stage}.{kind}" for stage in ("fit", "train") for kind in KINDS}


def flat(package: Path) -> Digests:
    """Digest of each stage or of each of its kinds: {"split": …, "fit.baseline": …}."""
    digests: Digests = {}
    for stage, value in stage_digests(package).items():
        by_kind = value if isinstance(value, dict) else {"": value}
        digests |= {f"{stage}.{kind}".strip("."): digest for kind, digest in by_kind.items()}
    return digests


@pytest.fixture
def package(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=ignored))


def changed_by(package: Path, file: str, old: str, new: str) -> set[str]:
    """The stages whose digest a replacement in a file changes."""
    before, path = flat(package), package / file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    after = flat(package)
    assert before.keys() == after.keys() == ALL | FITS
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("training/head.py", '"""', '"""Another docstring. '),
        ("training/head.py", "\n\n\n", "\n\n\n\n# A comment.\n\n"),
        ("training/another.py", "", "x = 1\n"),
        ("annotation/page.html", "<", "<!-- -->\n<"),
        ("cli/app.py", "import", "import re\nimport"),
    ],
)
def test_prose_and_new_modules_run_nothing(package: Path, file: str, old: str, new: str) -> None:
    assert changed_by(package, file, old, new) == set()


def test_code_runs_the_stages_again_that_import_it(package: Path) -> None:
    more = "\nx = 1\n"
    assert changed_by(package, "transformer/tuning.py", "\n\n\n", more) == {
        "fit.transformer",
        "train.transformer",
    }
    assert changed_by(package, "findings/card.md", "##", "## The") == {"card"}
    assert changed_by(package, "findings/card.py", "\n\n\n", more) == {"card"}
    assert changed_by(package, "findings/page.html", "<h1>", "<h1>The ") & FITS == set()
    assert changed_by(package, "reading/html.py", "\n\n\n", more) == {"prepare"}
    assert changed_by(package, "training/crossval.py", "\n\n\n", more) == FITS
    # New titles of kinds or metrics run no fit again.
    for file, old in (("kinds.py", "pretrained encoder"), ("metric_names.py", "macro-F1")):
        again = changed_by(package, f"project/{file}", old, f"the {old}")
        assert "report" in again and not again & FITS


def test_a_changed_default_runs_the_stages_again_that_read_it(package: Path) -> None:
    for file, old, new in (
        ("params.py", "n_folds: Annotated[int, Field(ge=2)] = 5", "4"),
        ("topics.py", 'mode: ModeName = "single"', '"multi"'),
    ):
        text = f"{old.rpartition('= ')[0]}= {new}"
        assert changed_by(package, f"project/{file}", old, text) == ALL | FITS
    for kind, old in (
        ("baseline", "inner_folds: Annotated[int, Field(ge=2)] = 3"),
        ("transformer", "epochs: Annotated[int, Field(ge=0)] = 6"),
    ):
        again = changed_by(package, f"{kind}/settings.py", old, f"{old}0")
        assert again == {f"fit.{kind}", f"train.{kind}", "card"}


def test_stages_depend_on_the_code_that_they_load(project: Path) -> None:
    """Stages declare all code that they run, and no other code.

    Every stage checks the sections of all kinds, but only a stage that reads a section depends on
    its defaults.
    """
    folder = next(place / TRACE for place in project.parents if (place / TRACE).is_dir())
    arrows = import_graph()
    sections = {kind.settings.partition(":")[0].partition(".")[2] for kind in KINDS.values()}
    surplus: dict[str, set[str]] = {}
    for path in folder.iterdir():
        stage, _, kind = path.name.partition("-")
        declared = modules_run([f"stages.{stage}"], [kind] if kind else KINDS, arrows)
        loaded = set(path.read_text(encoding="utf-8").split()) & arrows.keys()
        assert loaded - sections <= declared, f"{path.name} runs what it does not depend on"
        surplus[path.name] = declared - loaded
    assert len(surplus) == 18
    # All articles are plain text.
    others = {"reading.html", "reading.word", "reading.pdf", "reading.pdf_lines"}
    assert surplus.pop("prepare") == others
    assert not any(surplus.values()), surplus


def test_prose_in_a_string_is_code() -> None:
    text = 'x = """kept\n\n    as # it is   \n"""'
    assert code_without_prose(f'"""Docstring.\n\n"""\n{text}  # why\n\n') == text
