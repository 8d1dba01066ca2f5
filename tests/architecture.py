"""The package's structure, measured from its source, as figures or as a picture.

    python tests/architecture.py [REPOSITORY]    prints the figures
    python tests/architecture.py --draw          writes docs/architecture.svg

Modules import modules, and rooms (the folders of the package) import rooms. All imports of a file
count: inside functions, under TYPE_CHECKING, and as strings given to `import_module`.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from pathlib import Path
from xml.sax.saxutils import escape

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


def levels(arrows: Arrows) -> dict[str, int]:
    """Node → the nodes on its longest way along the arrows, circles counted once."""
    depth: dict[str, int] = {}

    def level(name: str, above: frozenset[str]) -> int:
        if name not in depth:
            below = (level(n, above | {name}) for n in arrows[name] if n not in above | {name})
            depth[name] = 1 + max(below, default=0)
        return depth[name]

    return {name: level(name, frozenset()) for name in arrows}


def direct(arrows: Arrows) -> Arrows:
    """The arrows without those that a longer way implies: a → b → c makes a → c superfluous."""
    return {
        name: {node for node in targets if not any(node in closure(o, arrows) for o in targets)}
        for name, targets in arrows.items()
    }


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


def rooms_of(source: Path) -> Arrows:
    """The rooms' arrows, without what `from paratopic import` gives."""
    arrows = {name: targets - {"__init__"} for name, targets in module_arrows(source).items()}
    return room_arrows({name: targets for name, targets in arrows.items() if name != "__init__"})


# Sizes in the picture, in pixels: a room's box, and the gaps between boxes and between levels.
WIDTH, HEIGHT, GAP, RISE, LINE = 186, 84, 22, 62, 14
# A point of an arrow on a level between its ends takes less room than a box.
SLIM = 8


def picture(source: Path) -> str:
    """The rooms by level, and an arrow from each to those that it imports, as SVG."""
    arrows = direct(rooms_of(source))
    ways = _ways(arrows)
    rows = _order(ways, levels(arrows))
    x = _columns(rows, ways)
    left = min(x[node] - _width(node) / 2 for node in x) - GAP
    right = max(x[node] + _width(node) / 2 for node in x) + GAP
    top = {level: GAP + (len(rows) - level) * (HEIGHT + RISE) for level in rows}
    width, height = right - left, GAP + len(rows) * (HEIGHT + RISE) - RISE + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        'font-family="system-ui, sans-serif" font-size="11" text-anchor="middle">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#5b6b7f"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#fff"/>',
    ]
    for way in ways:
        points: list[tuple[float, int]] = []
        for node in way:
            y, middle = top[_level(node)], x[node] - left
            points += [(middle, y), (middle, y + HEIGHT)]
        curve = f"M{points[1][0]:.0f} {points[1][1]}"
        for (x1, y1), (x2, y2) in pairwise(points[1:-1]):
            half = (y1 + y2) // 2
            curve += f" C{x1:.0f} {half} {x2:.0f} {half} {x2:.0f} {y2}"
        parts.append(
            f'<path d="{curve}" fill="none" stroke="#5b6b7f" stroke-width="1.3" '
            'marker-end="url(#tip)"/>'
        )
    for row in rows.values():
        for node in row:
            if _room(node):
                parts += _box(node[0], x[node] - left, top[_level(node)], _purpose(source, node[0]))
    return "\n".join([*parts, "</svg>"]) + "\n"


# A room on its level: ("cli", "", 6); or a point of an arrow that passes a level.
Node = tuple[str, str, int]


def _room(node: Node) -> bool:
    return not node[1]


def _level(node: Node) -> int:
    return node[2]


def _width(node: Node) -> int:
    return WIDTH if _room(node) else SLIM


def _ways(arrows: Arrows) -> list[list[Node]]:
    """Each arrow as the nodes on its way, one a level, from above to below."""
    level = levels(arrows)
    return [
        [
            (name, "", level[name]),
            *((name, target, n) for n in range(level[name] - 1, level[target], -1)),
            (target, "", level[target]),
        ]
        for name in sorted(arrows)
        for target in sorted(arrows[name])
    ]


def _neighbours(ways: list[list[Node]]) -> dict[Node, list[Node]]:
    beside: dict[Node, list[Node]] = {}
    for way in ways:
        for above, below in pairwise(way):
            beside.setdefault(above, []).append(below)
            beside.setdefault(below, []).append(above)
    return beside


def _order(ways: list[list[Node]], level: Mapping[str, int]) -> dict[int, list[Node]]:
    """The nodes of each level from left to right: with few crossings, as means of neighbours."""
    beside = _neighbours(ways)
    nodes = sorted({(name, "", n) for name, n in level.items()} | set(beside))
    rows = {n: [node for node in nodes if _level(node) == n] for n in sorted(set(level.values()))}
    best = rows
    for sweep in range(40):
        steps = sorted(rows, reverse=bool(sweep % 2))
        for n in steps:
            ahead = n + 1 if sweep % 2 else n - 1
            place = {node: i for i, node in enumerate(rows.get(ahead, []))}

            def mean(node: Node, place: dict[Node, int] = place) -> float:
                places = [place[other] for other in beside.get(node, []) if other in place]
                return sum(places) / len(places) if places else -1

            rows = rows | {n: sorted(rows[n], key=mean)} if place else rows
        if _crossings(rows, ways) < _crossings(best, ways):
            best = rows
    return best


def _crossings(rows: Mapping[int, list[Node]], ways: list[list[Node]]) -> int:
    place = {node: i for row in rows.values() for i, node in enumerate(row)}
    pieces = {piece for way in ways for piece in pairwise(way)}
    return sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in combinations(sorted(pieces), 2)
        if _level(a) == _level(c)
    )


def _columns(rows: Mapping[int, list[Node]], ways: list[list[Node]]) -> dict[Node, float]:
    """The middle of each node: near its neighbours, in its row's order, with gaps between."""
    beside = _neighbours(ways)
    x = {node: float(i * WIDTH) for row in rows.values() for i, node in enumerate(row)}
    for _ in range(60):
        for row in rows.values():
            wish = [sum(x[o] for o in beside[n]) / len(beside[n]) for n in row]
            # From either side what is pushed away goes too far: the mean of both stays near.
            pushed = [_apart(row, wish), _apart(row[::-1], [-w for w in wish[::-1]])[::-1]]
            x |= {n: (a - b) / 2 for n, a, b in zip(row, *pushed, strict=True)}
    return x


def _apart(row: list[Node], wish: list[float]) -> list[float]:
    """Places at or right of those that are wished for, with gaps between."""
    places: list[float] = []
    for i, (node, place) in enumerate(zip(row, wish, strict=True)):
        if i:
            place = max(place, places[-1] + (_width(row[i - 1]) + _width(node)) / 2 + GAP)
        places.append(place)
    return places


def _purpose(source: Path, room: str) -> str:
    """The first sentence of a room's docstring."""
    tree = ast.parse((source / room / "__init__.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition(". ")[0].rstrip(".")


def _box(room: str, middle: float, top: int, purpose: str) -> Iterator[str]:
    yield (
        f'<rect x="{middle - WIDTH / 2:.0f}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        'fill="#eef3f9" stroke="#8fa3bb"/>'
    )
    yield (
        f'<text x="{middle:.0f}" y="{top + 19}" font-size="14" font-weight="600" '
        f'fill="#16324f">{escape(room)}</text>'
    )
    for i, line in enumerate(textwrap.wrap(purpose, 29), 1):
        y = top + 21 + i * LINE
        yield f'<text x="{middle:.0f}" y="{y}" fill="#333">{escape(line)}</text>'


def main(repository: Path) -> None:
    """Print the figures of a repository's structure."""
    source = repository / "src" / PACKAGE
    arrows = {k: v for k, v in module_arrows(source).items() if k != "__init__"}
    arrows = {name: targets - {"__init__"} for name, targets in arrows.items()}
    rooms = rooms_of(source)
    texts = [path.read_text(encoding="utf-8") for path in source.rglob("*.py")]
    by_length = functions(source)
    readme = (repository / "README.md").read_text(encoding="utf-8")
    for title, value in (
        ("modules", len(arrows)),
        ("import arrows between modules", sum(map(len, arrows.values()))),
        ("rooms", len(rooms)),
        ("import arrows between rooms", sum(map(len, rooms.values()))),
        ("levels of rooms", max(levels(rooms).values())),
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
    root = Path(__file__).parents[1]
    if sys.argv[1:] == ["--draw"]:
        drawing = picture(root / "src" / PACKAGE)
        (root / "docs/architecture.svg").write_text(drawing, encoding="utf-8")
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else root)
