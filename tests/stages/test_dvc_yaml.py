"""dvc.yaml is right: it has the code, the params and the files that each stage uses."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, get_type_hints

import pytest
from ruamel.yaml import YAML

from paratopic.project import files
from paratopic.project.installed import import_graph, modules_run, stage_digests
from paratopic.project.kinds import KINDS
from paratopic.project.params import Params
from tests.programs import ROOT

SOURCE = ROOT / "src" / "paratopic"
ITEM = "${item.model}"
# Stages that fit the kind of model in their name.
FITTING = ("fit", "train")
PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
# The other stages depend on the digests of code that stage installed writes.
DEPENDENT = [name for name in STAGES if name != "installed"]
ARROWS = import_graph()


def stage_file(name: str) -> Path:
    return SOURCE / "stages" / f"{name}.py"


def code_of(name: str) -> list[str]:
    """Keys of reports/installed.json that a stage declares: ["split"]."""
    keys: list[str] = files_with_params(name)[files.Paths().installed.as_posix()]
    return keys


def files_with_params(name: str) -> dict[str, Any]:
    """Other files whose values a stage declares → their keys, None for all."""
    items = (item for item in STAGES[name]["params"] if isinstance(item, dict))
    return {path: keys for item in items for path, keys in item.items()}


def params_of(name: str) -> set[str]:
    """The settings that a stage declares; the codebook is part of `topics`."""
    own = {item for item in STAGES[name]["params"] if isinstance(item, str)}
    codebook = files.Paths().codebook.as_posix()
    assert files_with_params(name).get(codebook, "") == (None if "topics" in own else "")
    return own


def files_of(name: str) -> set[Path]:
    """Files of the modules that a stage runs, for all kinds of model."""
    modules = modules_run([f"stages.{name}"], KINDS, ARROWS)
    return {SOURCE.joinpath(*module.split(".")).with_suffix(".py") for module in modules}


def keys_read(tree: ast.AST) -> set[str]:
    """The sections of `params` that a stage reads; keys may be left out of a section."""
    sections = {f"params.{section}": section for section in get_type_hints(Params)}
    expressions = {ast.unparse(node) for node in ast.walk(tree)}
    return {section for code, section in sections.items() if code in expressions}


def options_of(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Path → options of each of a stage's deps, outs, metrics or plots."""
    options: dict[str, dict[str, Any]] = {}
    for item in STAGES[name].get(kind, []):
        options |= {item: {}} if isinstance(item, str) else item
    return options


def test_a_stage_depends_on_the_digest_of_its_own_code() -> None:
    digests = stage_digests()
    for name in DEPENDENT:
        libraries = [f"libraries.{ITEM}"]
        fitting = [f"{name}.{ITEM}", *libraries]
        assert code_of(name) == (fitting if name in FITTING else [name])
    assert digests.keys() == STAGES.keys()
    assert all(isinstance(digests[stage], dict) == (stage in FITTING) for stage in STAGES)
    assert set(digests["fit"]) == set(KINDS)


@pytest.mark.parametrize("name", DEPENDENT)
def test_params_are_the_sections_that_the_stage_reads(name: str) -> None:
    read = keys_read(ast.parse(stage_file(name).read_text(encoding="utf-8")))
    if name in (*FITTING, "card"):
        read |= {ITEM}
    if name in FITTING:  # by `training.crossval`
        read |= {"topics"}
    if name == "card":  # by `findings.card`
        read |= {"language", "license"}
    if name == "fit":  # by `training.crossval`
        read |= {"seed"}
    if name == "prepare":  # by `labels.resolve`
        read |= {"evaluate", "labels"}
    if name == "track":  # it reads these itself, and its deps change with all others
        read |= {"models", "topics"}
    assert params_of(name) == read


def paths_used(name: str) -> set[str]:
    """The paths of `Paths` that the code of a stage names."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files_of(name)]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in nodes if ast.unparse(node.value).endswith("paths")}
    paths = [getattr(files.Paths(), name, None) for name in names]
    return {path.as_posix() for path in paths if isinstance(path, Path)}


@pytest.mark.parametrize("name", STAGES)
def test_files_are_those_that_the_stage_names(name: str) -> None:
    """Each of the stage's deps and outs is an attribute of `Paths` in the code that it runs."""
    used = paths_used(name)
    for kind in ("deps", "outs", "metrics", "plots"):
        for path in options_of(name, kind):
            folder = path.partition("/${")[0]  # of a model
            assert path == "seeds" or folder in used, path
    # `dvc exp show` would take a dep with the name of a parameter for it, and fail.
    assert not set(options_of(name, "deps")) & {field.name for field in fields(Params)}


def test_tables_of_dvc_show_only_small_files_and_its_plots_no_pictures() -> None:
    metrics = [path for name in STAGES for path in options_of(name, "metrics")]
    assert metrics == [f"reports/models/{ITEM}.json", "reports/macro_f1.json"]
    plots = [path for name in STAGES for path in options_of(name, "plots")]
    names = ("confusion", "precision_recall", "reliability", "risk")
    assert plots == [f"reports/models/{ITEM}/{name}.csv" for name in names]


def test_results_are_in_the_cache_of_dvc_and_not_in_git() -> None:
    """Figures differ in last digits from machine to machine: a clone would seem to be changed."""
    for name in STAGES:
        for kind in ("outs", "metrics", "plots"):
            assert all(options.get("cache", True) for options in options_of(name, kind).values())
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"/{files.Paths().reports}/" in ignored


def test_models_have_their_colours_in_plots() -> None:
    text = (ROOT / ".dvc/plots/reliability.json").read_text(encoding="utf-8")
    names, colours = re.findall(r'"(?:domain|range)": (\["[^]]*\])', text)
    kinds = dict(zip(json.loads(names), json.loads(colours), strict=True))
    assert kinds == {kind.name: kind.colour for kind in KINDS.values()}
    # No kind of model is named in dvc.yaml.
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert not [kind for kind in KINDS if kind in text]
    assert "models[" not in text


def test_no_key_of_params_is_read_by_nobody() -> None:
    """Every key of every section is read as an attribute somewhere, or in dvc.yaml."""
    used = set(re.findall(r"\$\{(\w+)\}", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    for path in SOURCE.rglob("*.py"):
        if path.name != "settings.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    sections = {kind.name: resolve_name(kind.settings) for kind in KINDS.values()}
    sections |= {name: kind for name, kind in get_type_hints(Params).items() if name != "sections"}
    for section, kind in sections.items():
        keys = [field.name for field in fields(kind)] if is_dataclass(kind) else [section]
        for key in keys:
            assert key in used, f"{section}.{key}"
