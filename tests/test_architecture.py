"""Rooms import one way, and heavy libraries only where they belong."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter

import pytest

from paratopic.project.installed import closure, import_graph
from tests.architecture import room_arrows, room_of
from tests.programs import ROOT

SOURCE = ROOT / "src" / "paratopic"
ARROWS = import_graph(SOURCE)
# Room → the rooms that it may import, in addition to `project`, which every room may import.
MAY_IMPORT = {
    "project": set(),
    "corpus": set(),
    "reading": {"corpus", "tables"},
    "labels": {"corpus", "tables"},
    "inference": set(),
    "training": {"labels", "corpus", "inference"},
    "baseline": {"corpus", "inference", "training"},
    "transformer": {"corpus", "inference", "training"},
    "evaluation": {"labels", "corpus", "inference"},
    "findings": {"evaluation", "labels", "corpus", "inference"},
    "tracking": {"evaluation", "corpus", "inference"},
    "tables": set(),
    "bulk": {"tables", "reading", "inference"},
    "sklearn": {"corpus", "inference", "training"},
    "annotation": {"labels", "corpus", "inference", "tables"},
    "stages": {
        *("reading", "labels", "corpus", "inference", "training", "baseline", "transformer"),
        *("evaluation", "findings", "tracking"),
    },
    # Results for commands and users' code, above all rooms except `stages` and `cli`.
    "results": {"reading", "labels", "corpus", "inference", "evaluation", "findings"},
    # `tracking` is imported late, to serve MLflow's page.
    "cli": {
        "results",
        *("reading", "labels", "corpus", "inference", "evaluation", "annotation", "bulk"),
        *("findings", "training", "tracking", "tables"),
    },
}
# Library → the rooms whose code may import it.
HOME = {
    "torch": {"transformer"},
    "sentence_transformers": {"transformer"},
    "transformers": {"transformer"},
    "mlflow": {"tracking", "inference"},  # inference.registry fetches models from it
    "matplotlib": {"findings"},
    "starlette": {"annotation"},
    "trafilatura": {"reading"},
    "onnx": {"transformer"},
    "py3langid": {"project"},
    "datasets": {"labels"},
}


@pytest.mark.parametrize("room", room_arrows(ARROWS))
def test_a_room_imports_only_the_rooms_that_it_may(room: str) -> None:
    assert room_arrows(ARROWS)[room] <= MAY_IMPORT[room] | {"project"}


def test_no_module_and_no_room_is_in_a_circle() -> None:
    for graph in (ARROWS, room_arrows(ARROWS)):
        # The sorter raises a CycleError that names the modules of a circle.
        assert set(TopologicalSorter(graph).static_order()) == set(graph)


LEAVES = ("annotation", "findings", "bulk", "sklearn", "tracking")


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_can_be_deleted(leaf: str) -> None:
    """Only results, commands, stages and the leaf itself import it, directly or indirectly."""
    leaf_modules = {module for module in ARROWS if room_of(module) == leaf}
    importers = {module for module in ARROWS if closure([module], ARROWS) & leaf_modules}
    rooms = {room_of(module) for module in importers}
    assert leaf_modules and rooms <= {leaf, "results", "cli", "stages"}


def test_stages_do_not_import_each_other() -> None:
    stages = {name for name in ARROWS if name.startswith("stages.")}
    for stage in stages:
        assert not ARROWS[stage] & stages


@pytest.mark.parametrize("library", HOME)
def test_a_library_is_imported_only_in_its_rooms(library: str) -> None:
    pattern = rf"(?m)^ *(?:import|from) {library}\b"
    rooms = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert rooms == HOME[library]
