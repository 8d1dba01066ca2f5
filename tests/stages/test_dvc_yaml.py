"""dvc.yaml tells the truth: a stage's code, params and files are those that it uses."""

from __future__ import annotations

import ast
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from ruamel.yaml import YAML

from paratopic.project import paths
from paratopic.project.installed import digests
from paratopic.project.params import Params
from tests.architecture import closure, module_arrows, modules
from tests.programs import ROOT

SOURCE = ROOT / "src" / "paratopic"
ITEM = "${item.model}"
MODELS = {"baseline", "transformer"}
# They fit the model, and read the section, that they are named.
BY_NAME = ("score", "train")
PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
# It says what code is there; the others depend on it.
DEPENDENT = [name for name in STAGES if name != "installed"]
ARROWS = module_arrows(SOURCE)


def stage_file(name: str) -> Path:
    return SOURCE / "stages" / f"{name}.py"


def code_of(name: str) -> set[str]:
    """Declared parts of the package: {"corpus", "stages/split"}."""
    parts = [item for item in STAGES[name]["params"] if isinstance(item, dict)]
    (of_stage,) = parts
    return set(of_stage[paths.INSTALLED.as_posix()])


def params_of(name: str) -> set[str]:
    """Declared sections and keys of params.yaml."""
    return {item for item in STAGES[name]["params"] if isinstance(item, str)}


def files_of(name: str) -> set[str]:
    """The package's files that a stage imports, but those of the models' rooms."""
    reached = closure(f"stages.{name}", ARROWS) | {f"stages.{name}"}
    known = modules(SOURCE)
    files = {known[module].relative_to(SOURCE).as_posix() for module in reached}
    return {file for file in files if file.partition("/")[0] not in MODELS} - {"__init__.py"}


def part_of(file: str) -> str:
    """ "stages/split.py" → "stages/split"."""
    return file.rpartition(".")[0]


def keys_read(tree: ast.AST) -> set[str]:
    """What a stage reads of its `params`: {"seed", "evaluate.confidence"}."""
    sections = get_type_hints(Params)
    whole: set[str] = set()
    keys: dict[str, set[str]] = {}
    parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if ast.unparse(node) not in {f"params.{section}" for section in sections}:
            continue
        section, parent = ast.unparse(node).partition(".")[2], parents[id(node)]
        if section != "topics" and isinstance(parent, ast.Attribute):
            keys.setdefault(section, set()).add(parent.attr)
        else:
            whole.add(section)
    for section, of_section in keys.items():
        if of_section == {field.name for field in fields(sections[section])}:
            whole.add(section)
        elif section not in whole:
            whole |= {f"{section}.{key}" for key in of_section}
    return whole


def paths_of(name: str, kind: str) -> list[str]:
    """Paths among a stage's deps, outs, metrics or plots."""
    items = STAGES[name].get(kind, [])
    return [item if isinstance(item, str) else next(iter(item)) for item in items]


@pytest.mark.parametrize("name", DEPENDENT)
def test_the_code_is_the_rooms_or_modules_that_the_stage_imports(name: str) -> None:
    declared = code_of(name) - {ITEM}
    assert (ITEM in code_of(name)) == (name in BY_NAME)
    for file in files_of(name):
        assert {part_of(file), file.partition("/")[0]} & declared, f"{file} is not declared"
    for part in declared:
        assert any(part in (part_of(file), file.partition("/")[0]) for file in files_of(name)), part


def test_digests_are_of_rooms_and_of_modules_with_their_templates(tmp_path: Path) -> None:
    for file, text in (("a/b.py", "1"), ("a/b.html", "2"), ("a/c.py", "3"), ("d/e.py", "4")):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    before = digests(tmp_path)
    assert list(before) == ["a", "a/b", "a/c", "d", "d/e"]
    (tmp_path / "a/b.html").write_text("changed")
    for folder in (tmp_path, tmp_path / "a"):
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__/b.cpython.pyc").write_text("compiled")
    after = digests(tmp_path)
    assert {part for part in before if before[part] != after[part]} == {"a", "a/b"}
    assert before.keys() == after.keys()
    declared = {part for name in DEPENDENT for part in code_of(name)} - {ITEM}
    assert declared | MODELS <= digests().keys()


def test_models_rooms_need_what_the_stages_that_fit_them_declare() -> None:
    for name in BY_NAME:
        for model in MODELS:
            rooms = {module.partition(".")[0] for module in closure(f"{model}.fit", ARROWS)}
            assert rooms - {model} <= code_of(name)


@pytest.mark.parametrize("name", DEPENDENT)
def test_params_are_the_sections_or_keys_that_the_stage_reads(name: str) -> None:
    read = keys_read(ast.parse(stage_file(name).read_text(encoding="utf-8")))
    if name in BY_NAME:
        read |= {ITEM}
    if name == "track":  # all of them, which its deps stand for; these it reads itself
        read |= {"models", "topics"}
    assert params_of(name) == read


@pytest.mark.parametrize("name", STAGES)
def test_files_are_those_that_the_stage_names(name: str) -> None:
    """Every file among deps and outs is a constant of `paths` in the code that the stage runs."""
    sources = [stage_file(name), *(SOURCE / file for file in files_of(name))]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    names = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used = {value.as_posix() for key in names if isinstance(value := vars(paths).get(key), Path)}
    for kind in ("deps", "outs", "metrics", "plots"):
        for path in paths_of(name, kind):
            if path == "seeds":
                continue
            folder = path.partition("/${")[0]  # of a model
            assert folder in used, path


def test_the_tables_of_dvc_show_the_small_files_alone_and_its_plots_no_pictures() -> None:
    metrics = [path for name in STAGES for path in paths_of(name, "metrics")]
    assert metrics == [f"reports/{ITEM}.json"]
    plots = [path for name in STAGES for path in paths_of(name, "plots")]
    assert plots == [f"reports/{ITEM}/confusion.csv"]


def test_plots_of_both_models_are_of_files_that_stage_evaluate_writes() -> None:
    outs = set(paths_of("evaluate", "outs"))
    for plot in PIPELINE["plots"]:
        (definition,) = plot.values()
        assert {path.split("/")[1] for path in definition["y"]} == MODELS
        (general,) = {re.sub("/[^/]+/", f"/{ITEM}/", path) for path in definition["y"]}
        assert general in outs


@pytest.mark.parametrize("name", STAGES)
def test_no_dep_has_the_name_of_a_parameter(name: str) -> None:
    """`dvc exp show` would take one for the other, and fail where its columns are dropped."""
    assert not set(paths_of(name, "deps")) & {field.name for field in fields(Params)}


def test_no_key_of_params_is_read_by_nobody() -> None:
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
