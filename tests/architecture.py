"""The imports between modules and between rooms, and the picture of them in docs/architecture.md.

    python tests/architecture.py --draw

Rooms are the folders of the package. Late imports count, too.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from paratopic.project.installed import closure, import_graph

Arrows = dict[str, set[str]]


def libraries(path: Path) -> set[str]:
    """The packages outside the standard library that a file imports: {"numpy", "ruamel"}."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def room_of(module: str) -> str:
    """ "corpus.table" → "corpus"; a module outside of all folders is a room of its own."""
    return module.partition(".")[0]


def room_arrows(arrows: Arrows) -> Arrows:
    """Room → the other rooms that it imports."""
    rooms: Arrows = {room_of(module): set() for module in arrows}
    for module, targets in arrows.items():
        rooms[room_of(module)] |= {room_of(target) for target in targets} - {room_of(module)}
    return rooms


def transitive_reduction(arrows: Arrows) -> Arrows:
    """Remove arrows that a longer way implies: a → b → c makes a → c superfluous."""
    reduced: Arrows = {}
    for name, targets in arrows.items():
        reached: set[str] = set()
        for target in targets:
            reached |= closure(arrows[target], arrows)
        reduced[name] = targets - reached
    return reduced


def picture(source: Path) -> str:
    """The rooms, with an arrow from each to those that it imports, as a block of Mermaid."""
    arrows = sorted(transitive_reduction(room_arrows(import_graph(source))).items())
    lines = [f"    {room} --> {other}" for room, targets in arrows for other in sorted(targets)]
    return "\n".join(["```mermaid", "graph TD", *lines, "```"])


def draw(page: Path, source: Path) -> None:
    """Replace the picture in a page by the picture of the present code."""
    before, _, rest = page.read_text(encoding="utf-8").partition("```mermaid")
    after = rest.partition("```")[2]
    page.write_text(before + picture(source) + after, encoding="utf-8")


if __name__ == "__main__" and sys.argv[1:] == ["--draw"]:
    root = Path(__file__).parents[1]
    draw(root / "docs" / "architecture.md", root / "src/paratopic")
