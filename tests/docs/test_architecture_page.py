"""docs/architecture.md shows the package and the pipeline as they are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.architecture import picture
from tests.programs import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src/paratopic"
STAGES: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
# What a recipe tells people to make.
NEW = {"src/paratopic/reading/epub.py", "tests/reading/test_epub.py"}
# A model in paths of dvc.yaml.
MODEL = re.compile(r"\$\{(?:item\.model|models\[-?\d\])\}")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    table = PAGE.partition(f"## {heading}\n")[2].partition("\n|")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[2:]]


def code(cell: str) -> set[str]:
    """ "`a`, `b` and more" → {"a", "b"}."""
    return set(re.findall(r"`([^`]+)`", cell))


def test_the_picture_is_of_the_code_as_it_is() -> None:
    assert picture(SOURCE) in PAGE, "run `python tests/architecture.py --draw`"


def test_every_room_is_in_the_table_with_files_that_are_there() -> None:
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert {name for cell, _, _ in rows("The rooms") for name in code(cell)} == rooms
    for room, _, first in rows("The rooms"):
        for file in code(first):
            assert (SOURCE / room.strip("`") / file).exists(), (room, file)


def test_stages_read_and_write_what_the_table_says() -> None:
    table = {cells[0].strip("`"): cells[1:] for cells in rows("The way of the data")}
    names = {f"{name}@MODEL" if "matrix" in stage else name for name, stage in STAGES.items()}
    assert set(table) == names
    for name, (reads, writes) in table.items():
        stage = STAGES[name.partition("@")[0]]
        assert code(reads) == set(paths(stage, "deps")), name
        written = set(paths(stage, "outs", "metrics", "plots"))
        for shown in code(writes):
            matching = {path for path in written if path == shown or path.startswith(shown)}
            assert matching, (name, shown)
            written -= matching
        assert written == set(), name


# Words of the table of changes → what changes, as dvc.yaml names it.
CHANGES = {
    "`license`, `language`": ("license", "language"),
    "`evaluate`": ("evaluate",),
    "a date, or what else a paragraph is from": ("data/metadata.parquet",),
    "how labels were drawn, `calibrate`": ("data/sample.parquet", "calibrate"),
    "a label, the text of a paragraph, `topics`": (
        "data/labels.parquet",
        "data/paragraphs.parquet",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_runs_the_stages_that_the_table_says(change: str) -> None:
    """What reads it, and what reads their results, as far as these change."""
    (said,) = (cells[-1] for cells in rows("What runs again") if cells[0] == change)
    stages, changed = dict[str, Any](STAGES), set(CHANGES[change])
    again: list[str] = []
    for name, stage in stages.items():  # in the order of the pipeline
        own = [item for item in stage.get("params", ()) if isinstance(item, str)]
        read = [*paths(stage, "deps"), *own]
        if name != "prepare" and any(_is_within(each, path) for each in changed for path in read):
            again.append(name)
            changed |= set(paths(stage, "outs", "metrics", "plots"))
    everything = [name for name in stages if name not in ("installed", "prepare")]
    assert again == (everything if said.startswith("`split` and all") else _names(said))


def _is_within(one: str, other: str) -> bool:
    """Whether a path or key is another one, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _names(cell: str) -> list[str]:
    """Names of stages in the order of the pipeline."""
    return [name for name in STAGES if f"`{name}`" in cell]


def paths(stage: dict[str, Any], *kinds: str) -> list[str]:
    """Paths of a stage in dvc.yaml: "models/MODEL"."""
    items = [item for kind in kinds for item in stage.get(kind, [])]
    names = [item if isinstance(item, str) else next(iter(item)) for item in items]
    return [MODEL.sub("MODEL", name) for name in names]


@pytest.mark.parametrize("recipe", ["a file format", "another encoder"])
def test_a_recipe_names_files_that_are_there(recipe: str) -> None:
    files = {name for cells in rows(f"Recipe: {recipe}") for name in code(cells[0])} - NEW
    assert files
    for name in files:
        assert (ROOT / name).exists(), name
