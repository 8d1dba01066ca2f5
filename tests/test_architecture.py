"""dvc.yaml tells the truth: a stage's deps and params are those that its code uses."""

from __future__ import annotations

import ast
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from ruamel.yaml import YAML

from paratopic.project.params import Params
from tests.programs import ROOT

SOURCE = ROOT / "src" / "paratopic"
ITEM = "${item.model}"
# They import the model's room, and read its section, by the name that they are given.
BY_NAME = ("score", "train")
STAGES: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def imported(path: Path) -> set[Path]:
    """Modules of this project that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("paratopic"):
            parts = str(node.module).split(".")[1:]
            names = [parts] if parts else [[alias.name] for alias in node.names]
            found |= {SOURCE.joinpath(*name).with_suffix(".py") for name in names}
    return {module for module in found if module.exists()}


def closure(path: Path) -> set[Path]:
    """A file and all that it imports, by way of others too."""
    seen: set[Path] = set()
    ahead = {path}
    while ahead:
        module = ahead.pop()
        seen.add(module)
        ahead |= imported(module) - seen
    return seen


def stage_file(name: str) -> Path:
    return SOURCE / "stages" / f"{name}.py"


def attributes(path: Path) -> set[str]:
    """What is read of a variable called params: {'seed', 'split'}."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "params"
    }


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_modules_that_the_stage_imports(name: str) -> None:
    modules = closure(stage_file(name))
    if name in BY_NAME:
        rooms = {SOURCE / "baseline.py", SOURCE / "transformer.py"}
        modules |= set().union(*map(closure, rooms)) - rooms
    code = {str(module.relative_to(ROOT)) for module in modules}
    declared = {dep for dep in STAGES[name]["deps"] if dep.startswith("src/")}
    if name in BY_NAME:
        assert f"src/paratopic/{ITEM}.py" in declared
        declared.remove(f"src/paratopic/{ITEM}.py")
    assert declared == code


@pytest.mark.parametrize("name", STAGES)
def test_params_are_the_sections_that_the_stage_reads(name: str) -> None:
    sections = {field.name for field in fields(Params)}
    read = attributes(stage_file(name)) & sections
    declared = set(STAGES[name]["params"])
    if name in BY_NAME:
        read |= {ITEM}
    if name == "track":  # all of them, which its deps stand for; these it reads itself
        declared |= {"models"}
    assert declared == read


@pytest.mark.parametrize("name", STAGES)
def test_files_are_those_that_the_stage_names(name: str) -> None:
    """Every file among deps and outs occurs in the stage's code, by its first two parts."""
    text = stage_file(name).read_text(encoding="utf-8")
    for kind in ("deps", "outs", "metrics", "plots"):
        for item in STAGES[name].get(kind, []):
            path = item if isinstance(item, str) else next(iter(item))
            if path.startswith(("src/", "seeds")):
                continue
            folder, _, rest = path.partition(f"/{ITEM}")
            assert f'"{folder}"' in text or Path(folder).stem in text, path
            if rest and not path.startswith(("data/oof", "models")):
                assert Path(rest).stem in text, path


def test_no_key_is_read_by_nobody() -> None:
    """Every key of every section is an attribute somewhere outside params.py, or in dvc.yaml."""
    used = set(re.findall(r"\$\{(\w+)\}", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    for path in SOURCE.rglob("*.py"):
        if path.name != "params.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for section, kind in get_type_hints(Params).items():
        keys = [field.name for field in fields(kind)] if is_dataclass(kind) else [section]
        for key in keys:
            assert key in used, f"{section}.{key}"


def test_rooms_import_one_way() -> None:
    for path in SOURCE.rglob("*.py"):
        if "stages" not in path.parts:
            assert not any("stages" in module.parts for module in imported(path)), path
    for name in STAGES:
        others = {stage_file(other) for other in STAGES} - {stage_file(name)}
        assert not imported(stage_file(name)) & others
    assert {p.name for p in closure(SOURCE / "classifier.py")} == {
        "classifier.py",
        "errors.py",
        "tfidf.py",
        "topics.py",
    }
    sources = {path.name: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    for library, rooms in (
        ("torch", {"transformer.py"}),
        ("mlflow", {"tracking.py", "served.py"}),
        ("ray", {"cluster.py"}),
    ):
        pattern = rf"(?m)^ *(import|from) {library}\b"
        assert {name for name, text in sources.items() if re.search(pattern, text)} == rooms
