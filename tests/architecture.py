"""The package's structure, measured from its source, as a picture of docs/architecture.md.

    python tests/architecture.py --draw

Modules import modules, and rooms (the folders of the package) import rooms. All imports of a file
count: inside functions, under TYPE_CHECKING, and as strings given to `import_module`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from paratopic.project.installed import closure

PACKAGE = "paratopic"
Arrows = dict[str, set[str]]


def modules(source: Path) -> dict[str, Path]:
    """Dotted name below the package → file: {"corpus.table": …/corpus/table.py}."""
    return {
        ".".join(path.relative_to(source).with_suffix("").parts): path
        for path in sorted(source.rglob("*.py"))
        if path.name != "__init__.py" or path.parent == source
    }


def imports(path: Path, known: Mapping[str, Path]) -> set[str]:
    """The modules of the package that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in _imported(node):
            parts = name.split(".")[1:]
            # A name imported from a module is not a module: the longest known beginning counts.
            for n in range(len(parts), 0, -1):
                pattern = ".".join(parts[:n])
                matches = {module for module in known if re.fullmatch(pattern, module)}
                if matches:
                    names |= matches
                    break
    return names


def _imported(node: ast.AST) -> Iterator[str]:
    """Dotted names that a node may import, as patterns."""
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (a.name for a in node.names if a.name.split(".")[0] == PACKAGE)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        text = node.args[0]
        parts = text.values if isinstance(text, ast.JoinedStr) else [text]
        # What a format string fills in may be any name.
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in parts
        )


def libraries(path: Path) -> set[str]:
    """The packages outside the standard library that a file imports: {"numpy", "ruamel"}."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def module_arrows(source: Path) -> Arrows:
    """Module → the modules that it imports."""
    known = modules(source)
    return {name: imports(path, known) - {name} for name, path in known.items()}


def room_of(module: str) -> str:
    """ "corpus.table" → "corpus"; a module that lies in no folder is a room of its own."""
    return module.partition(".")[0]


def room_arrows(arrows: Arrows) -> Arrows:
    """Room → the other rooms that it imports."""
    rooms: Arrows = {room_of(module): set() for module in arrows}
    for module, targets in arrows.items():
        rooms[room_of(module)] |= {room_of(target) for target in targets} - {room_of(module)}
    return rooms


def direct(arrows: Arrows) -> Arrows:
    """The arrows without those that a longer way implies: a → b → c makes a → c superfluous."""
    return {
        name: {
            node for node in targets if not any(node in closure(arrows[o], arrows) for o in targets)
        }
        for name, targets in arrows.items()
    }


def rooms_of(source: Path) -> Arrows:
    """The rooms' arrows, without what `from paratopic import` gives."""
    arrows = {name: targets - {"__init__"} for name, targets in module_arrows(source).items()}
    return room_arrows({name: targets for name, targets in arrows.items() if name != "__init__"})


def picture(source: Path) -> str:
    """The rooms, with an arrow from each to those that it imports, as a block of Mermaid."""
    arrows = sorted(direct(rooms_of(source)).items())
    lines = [f"    {room} --> {other}" for room, targets in arrows for other in sorted(targets)]
    return "\n".join(["```mermaid", "graph TD", *lines, "```"])


def draw(page: Path, source: Path) -> None:
    """Replace the picture in a page by that of the code as it is."""
    before, _, rest = page.read_text(encoding="utf-8").partition("```mermaid")
    after = rest.partition("```")[2]
    page.write_text(before + picture(source) + after, encoding="utf-8")


if __name__ == "__main__" and sys.argv[1:] == ["--draw"]:
    root = Path(__file__).parents[1]
    draw(root / "docs" / "architecture.md", root / "src" / PACKAGE)
