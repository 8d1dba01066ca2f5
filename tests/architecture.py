"""The package's structure, measured from its source: `python tests/architecture.py [REPOSITORY]`.

Modules import modules, and rooms (the folders of the package) import rooms. All imports of a file
count: inside functions, under TYPE_CHECKING, and as strings given to `import_module`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

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


def circles(arrows: Arrows) -> list[set[str]]:
    """Groups of nodes that reach each other."""
    reach = {name: closure(name, arrows) for name in arrows}
    groups = {frozenset(o for o in reach[n] if n in reach[o]) for n in arrows}
    return sorted((set(group) for group in groups if group), key=sorted)


def closure(name: str, arrows: Arrows) -> set[str]:
    """All that a node reaches by way of one arrow or more."""
    reached: set[str] = set()
    ahead = set(arrows[name])
    while ahead:
        node = ahead.pop()
        reached.add(node)
        ahead |= arrows[node] - reached
    return reached


def levels(arrows: Arrows) -> int:
    """Length of the longest way along the arrows, circles counted once."""
    depth: dict[str, int] = {}

    def level(name: str, above: frozenset[str]) -> int:
        if name not in depth:
            below = (level(n, above | {name}) for n in arrows[name] if n not in above | {name})
            depth[name] = 1 + max(below, default=0)
        return depth[name]

    return max(level(name, frozenset()) for name in arrows)


def functions(source: Path) -> list[tuple[int, str]]:
    """Lines and name of every function, the longest first."""
    return sorted(
        (
            (node.end_lineno or node.lineno) - node.lineno + 1,
            f"{path.relative_to(source)}:{node.name}",
        )
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )[::-1]


def lines(folder: Path) -> int:
    """Lines of Python in a folder."""
    files = folder.rglob("*.py")
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def main(repository: Path) -> None:
    """Print the figures of a repository's structure."""
    source = repository / "src" / PACKAGE
    arrows = {k: v for k, v in module_arrows(source).items() if k != "__init__"}
    arrows = {name: targets - {"__init__"} for name, targets in arrows.items()}
    rooms = room_arrows(arrows)
    texts = [path.read_text(encoding="utf-8") for path in source.rglob("*.py")]
    by_length = functions(source)
    readme = (repository / "README.md").read_text(encoding="utf-8")
    for title, value in (
        ("modules", len(arrows)),
        ("import arrows between modules", sum(map(len, arrows.values()))),
        ("rooms", len(rooms)),
        ("import arrows between rooms", sum(map(len, rooms.values()))),
        ("levels of rooms", levels(rooms)),
        ("circles of modules", len(circles(arrows))),
        ("circles of rooms", len(circles(rooms))),
        ("lines of src", lines(source)),
        ("lines of tests", lines(repository / "tests")),
        ("functions", len(by_length)),
        ("longest function", f"{by_length[0][0]} ({by_length[0][1]})"),
        ("functions over 40 lines", sum(length > 40 for length, _ in by_length)),
        (
            "comparisons with a mode's name",
            sum(len(re.findall(r'[=!]= "(?:single|multi)"', text)) for text in texts),
        ),
        ("words in README.md", len(readme.split())),
    ):
        print(f"{title:32} {value}")
    for room, targets in sorted(rooms.items()):
        print(f"{room:12} → {', '.join(sorted(targets)) or '–'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
