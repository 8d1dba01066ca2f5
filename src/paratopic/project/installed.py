"""Digests of the installed code and versions of libraries, on which the pipeline's stages depend.

They are those of the code that runs, which need not lie in the project. A stage's code is its
module and all that this imports, at once or late. So a new version runs those stages again whose
code it changed, and no others. Docstrings, comments and blank lines are no code.
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
# What a statement may stand after.
_BEFORE = {NEWLINE, NL, COMMENT, INDENT, DEDENT}

# What a module imports, or has the defaults of, by the names in `kinds`: module → entries.
BY_KIND = {"inference.manifest": ("classifier",), "training.crossval": ("settings", "fit")}
BY_KIND["findings.card"] = ("settings",)
# The entries are words for people, too: a fit depends on its own entry, and on that in part.
ENTRIES = "project.kinds"
# Packages on which the fits of every kind depend, beside its own.
PACKAGES = ("numpy", "scipy", "scikit-learn")


def stage_digests(package: Path = PACKAGE) -> dict[str, Any]:
    """Digest of the code of each stage in a package's folder, by default the installed one.

    Returns
    -------
    Name of a stage → 12 hexadecimal digits; of a stage that fits models, name of a kind → digits.
    """
    arrows = imports(package)
    digests: dict[str, Any] = {}
    for stage in sorted(name for name in arrows if name.startswith("stages.")):
        name = stage.partition(".")[2]
        if "training.crossval" not in closure([stage], arrows):
            digests[name] = digest(modules_of([stage], KINDS, arrows), package)
            continue
        digests[name] = {}
        for kind in KINDS.values():
            modules = modules_of([stage], [kind.name], arrows) - {ENTRIES}
            entry = repr((kind.fit, kind.settings, kind.learns_from_unlabelled))
            digests[name][kind.name] = digest(modules, package, entry)
    return digests


def library_versions() -> dict[str, str]:
    """Name of a kind of model → the packages that its fits compute with, and their versions.

    A build for a kind of processor, such as ``+cpu``, is no other version.
    """
    return {
        kind.name: ", ".join(
            f"{package} {version(package).partition('+')[0]}"
            for package in PACKAGES + kind.packages
        )
        for kind in KINDS.values()
    }


def modules_of(
    modules: Collection[str], kinds: Iterable[str], arrows: Mapping[str, set[str]]
) -> set[str]:
    """All modules that some modules, such as "stages.split", run for kinds of model, with these."""
    reached = closure(modules, arrows)
    named = {
        getattr(KINDS[kind], entry).partition(":")[0].removeprefix(f"{PACKAGE.name}.")
        for module, entries in BY_KIND.items()
        if module in reached
        for kind in kinds
        for entry in entries
    }
    return closure({*modules} | (named & arrows.keys()), arrows)


def imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Module of a package → the modules of it that it imports when it runs, at once or late.

    Modules have dotted names below the package, such as ``"corpus.folds"``. What is imported for
    the type checker alone does not count, and neither does what `import paratopic` itself imports.
    """
    paths = {
        ".".join(path.relative_to(package).with_suffix("").parts): path
        for path in sorted(package.glob("**/*.py"))
        if path.name != "__init__.py"
    }
    arrows = {}
    for module, path in paths.items():
        names = (name.partition(".") for name in imported(path.read_text(encoding="utf-8")))
        arrows[module] = {below for first, _, below in names if first == package.name}
    return {module: names & paths.keys() for module, names in arrows.items()}


def closure(modules: Iterable[str], arrows: Mapping[str, set[str]]) -> set[str]:
    """The modules, and all that they reach by way of arrows of `imports`."""
    reached = list(modules)
    for module in reached:  # grows
        reached += arrows[module].difference(reached)
    return set(reached)


def digest(modules: Iterable[str], package: Path = PACKAGE, more: str = "") -> str:
    """Digest of the code of modules, of the templates that they read, and of a further text.

    It has 12 hexadecimal digits.
    """
    total = hashlib.sha256(more.encode())
    for module in sorted(modules):
        path = package.joinpath(*module.split(".")).with_suffix(".py")
        source = path.read_text(encoding="utf-8")
        total.update(f"{module}\0{code(source)}\0".encode())
        for template in sorted(path.parent.iterdir()):
            if template.is_file() and template.suffix != ".py" and f'"{template.name}"' in source:
                total.update(template.read_bytes())
    return total.hexdigest()[:12]


@cache
def code(source: str) -> str:
    """The source of a module without its docstrings, comments and blank lines.

    It is cut out of the source, so that it is the same for each version of Python.

    >>> code('# Why\\nx = 1  # one\\n\\ndef f():\\n    "Docstring."\\n    return "# text"\\n')
    'x = 1\\ndef f():\\n    return "# text"'
    """
    lines = source.split("\n")
    kept = set()  # lines inside strings, whose blank lines and ends belong to the string
    tokens = list(generate_tokens(io.StringIO(source).readline))
    before = [NEWLINE, *(token.type for token in tokens)]
    # From the end, so that what is cut out moves nothing that comes next.
    for previous, token, following in reversed([*zip(before, tokens, tokens[1:], strict=False)]):
        is_text = token.type == STRING and following.type == NEWLINE
        (first, start), (last, end) = token.start, token.end
        if token.type == COMMENT or (is_text and previous in _BEFORE):
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
def imported(source: str) -> frozenset[str]:
    """Dotted names of what the source of a module imports when it runs, and of what these lie in.

    What is imported from a module may be a module itself, or a name in it.
    """
    parts = [name.split(".") for name in _imports_below(ast.parse(source))]
    return frozenset(".".join(words[:n]) for words in parts for n in range(1, len(words) + 1))


def _imports_below(node: ast.AST) -> Iterator[str]:
    """Dotted names that a node imports, but for the type checker."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases):
            yield from (f"{module}.{alias.name}" for alias in aliases)
    for child in ast.iter_child_nodes(node):
        yield from _imports_below(child)
