"""Digests of the installed code and versions of libraries, on which the pipeline's stages depend.

The digests cover the code that runs, which may lie outside of the project. A stage's code is its
module and all modules that this one imports, at once or late. A new version of the package runs
only those stages again whose code changed. Docstrings, comments and blank lines do not count.
"""

from __future__ import annotations

import ast
import hashlib
import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tokenize import COMMENT, DEDENT, INDENT, NEWLINE, NL, STRING, generate_tokens
from typing import Any

from paratopic.project.kinds import KINDS

PACKAGE = Path(__file__).parents[1]
# Tokens that a statement may follow.
_BEFORE_STATEMENT = {NEWLINE, NL, COMMENT, INDENT, DEDENT}

# Some modules import others by their names in `kinds`, or use their defaults: module → entries.
BY_KIND = {"inference.manifest": ("classifier",), "training.crossval": ("settings", "fit")}
BY_KIND["findings.card"] = ("settings",)
# Entries also contain words for people, so that a fit depends only on a part of its own entry.
ENTRIES = "project.kinds"
# The fits of every kind depend on these packages, in addition to the kind's own packages.
PACKAGES = ("numpy", "scipy", "scikit-learn")


def stage_digests(package: Path = PACKAGE) -> dict[str, Any]:
    """Compute for each stage of the pipeline a digest of the code in folder `package` that it runs.

    Returns
    -------
    Name of a stage → 12 hexadecimal digits or, for a stage that fits models, a dict from each kind
    of model to its digits.
    """
    arrows = import_graph(package)
    digests: dict[str, Any] = {}
    for stage in sorted(name for name in arrows if name.startswith("stages.")):
        name = stage.partition(".")[2]
        if "training.crossval" not in closure([stage], arrows):
            digests[name] = modules_digest(modules_run([stage], KINDS, arrows), package)
            continue
        digests[name] = {}
        for kind in KINDS.values():
            modules = modules_run([stage], [kind.name], arrows) - {ENTRIES}
            entry = repr((kind.fit, kind.settings, kind.uses_unlabelled))
            digests[name][kind.name] = modules_digest(modules, package, entry)
    return digests


def library_versions() -> dict[str, str]:
    """Name of a kind of model → versions of the packages of its fits: "numpy 2.3.1, scipy 1.16.0".

    Suffixes of builds, such as ``+cpu``, are left out. A missing package is a PackageNotFoundError.
    """
    versions = {}
    for kind in KINDS.values():
        packages = PACKAGES + kind.packages
        numbers = [f"{package} {version(package).partition('+')[0]}" for package in packages]
        versions[kind.name] = ", ".join(numbers)
    return versions


def modules_run(
    modules: Collection[str], kinds: Iterable[str], arrows: Mapping[str, set[str]]
) -> set[str]:
    """The modules, such as "stages.split", and all that they run for the kinds with these names.

    They run all that they reach through the `arrows` of `import_graph`. A module in `BY_KIND` also
    runs the modules that its entries name in `KINDS`.
    """
    reached = closure(modules, arrows)
    entries = {entry for module in reached & BY_KIND.keys() for entry in BY_KIND[module]}
    named = {
        getattr(KINDS[kind], entry).partition(":")[0].removeprefix(f"{PACKAGE.name}.")
        for kind in kinds
        for entry in entries
    }
    return closure({*modules} | (named & arrows.keys()), arrows)


def import_graph(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Module of a package → its other modules that this one imports, at once or in functions.

    Modules have dotted names below the package, such as ``"corpus.folds"``; files `__init__.py` are
    left out, as keys and as values. Imports that are only for the type checker do not count.
    """
    paths = {
        ".".join(path.relative_to(package).with_suffix("").parts): path
        for path in sorted(package.glob("**/*.py"))
        if path.name != "__init__.py"
    }
    arrows = {}
    for module, path in paths.items():
        names = imported_names(path.read_text(encoding="utf-8"))
        arrows[module] = {name for name in paths if f"{package.name}.{name}" in names}
    return arrows


def closure(modules: Iterable[str], arrows: Mapping[str, set[str]]) -> set[str]:
    """The modules and all that they reach through the arrows of `import_graph`."""
    reached = list(modules)
    for module in reached:  # grows
        reached += arrows[module].difference(reached)
    return set(reached)


def modules_digest(modules: Iterable[str], package: Path = PACKAGE, more: str = "") -> str:
    """Digest, 12 hexadecimal digits, of modules' `code_without_prose`, their templates, and `more`.

    A template of a module is a file in its folder whose name is in the module in double quotes.
    """
    total = hashlib.sha256(more.encode())
    for module in sorted(modules):
        path = package.joinpath(*module.split(".")).with_suffix(".py")
        source = path.read_text(encoding="utf-8")
        total.update(f"{module}\0{code_without_prose(source)}\0".encode())
        for template in sorted(path.parent.iterdir()):
            if template.is_file() and template.suffix != ".py" and f'"{template.name}"' in source:
                total.update(template.read_bytes())
    return total.hexdigest()[:12]


@cache
def code_without_prose(source: str) -> str:
    """Remove docstrings, comments and blank lines from the source of a module.

    The rest of the source stays as it is, so that the result is the same in each version of Python.

    >>> code_without_prose('# Why\\nx = 1  # one\\n\\ndef f():\\n    "Doc"\\n    return "# x"\\n')
    'x = 1\\ndef f():\\n    return "# x"'
    """
    lines = source.split("\n")
    kept = set()  # lines inside strings, where blank lines and line ends belong to the string
    tokens = list(generate_tokens(io.StringIO(source).readline))
    before = [NEWLINE, *(token.type for token in tokens)]
    # The loop runs from the end, because removing text moves all text behind it.
    for previous, token, following in reversed([*zip(before, tokens, tokens[1:], strict=False)]):
        is_text = token.type == STRING and following.type == NEWLINE
        (first, start), (last, end) = token.start, token.end
        if token.type == COMMENT or (is_text and previous in _BEFORE_STATEMENT):
            lines[first - 1] = lines[first - 1][:start] + lines[last - 1][end:]
            lines[first:last] = [""] * (last - first)
        elif last > first and token.string.strip():
            kept |= set(range(first, last))
    return "\n".join(
        line if number in kept else line.rstrip()
        for number, line in enumerate(lines, start=1)
        if number in kept or line.strip()
    )


@cache
def imported_names(source: str) -> frozenset[str]:
    """Dotted names, of modules or in them, that a source imports at run time, and their parents."""
    parts = [name.split(".") for name in _imports_below(ast.parse(source))]
    return frozenset(".".join(words[:n]) for words in parts for n in range(1, len(words) + 1))


def _imports_below(node: ast.AST) -> Iterator[str]:
    """Yield the names imported in a node and all nodes below it: a.b.c for `from a.b import c`.

    A statement `if TYPE_CHECKING` is skipped with its `else`.
    """
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases):
            yield from (f"{module}.{alias.name}" for alias in aliases)
    for child in ast.iter_child_nodes(node):
        yield from _imports_below(child)
