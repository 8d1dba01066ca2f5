"""Write docs/settings.md and docs/commands.md from the code: `python -m tests.reference`."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, get_type_hints

import typer
from pydantic import TypeAdapter

from paratopic.cli.app import COMMANDS, app
from paratopic.project.files import Paths
from paratopic.project.kinds import KINDS
from paratopic.project.params import Params
from paratopic.project.topics import Topic, Topics
from tests.programs import ROOT

SETTINGS = f"""# Settings

After this page you know every setting, its default and its effect. This page is made from the code.

Settings are in `{Paths().params}`. The file needs every top-level setting and every section, if
only as `split: {{}}`. Any other setting may be left out, and then has its default. A setting that
does not exist is an error. [Experiments](mlflow-and-dvc.md#run-an-experiment) try other values, and
[labelled tables](your-own-project.md#labelled-tables) have keys of their own in `prepare.sources`.
"""
CODEBOOK = f"""## The codebook

`{Paths().codebook}` has the topics: a list `topics` of names, or of these keys, and optionally
`retired`, the names of former topics, each with the topics that took its place. In older projects,
`topics.codebook` and `topics.retired` of `{Paths().params}` have them.
"""
COMMANDS_PAGE = """# Commands

After this page you know every command with its arguments and options. This page is made from the
code; `paratopic COMMAND --help` prints the same.

"""


def documented(kind: type) -> dict[str, str]:
    """Field of a dataclass → its description in its own docstring or in that of the class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, below in itertools.pairwise(tree.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                texts[name] = text
    section = (inspect.getdoc(kind) or "").partition("----------\n")[2]
    for listed_names, text in re.findall(r"(?m)^(\S.*)\n((?:    .*\n?)+)", section):
        texts |= dict.fromkeys(listed_names.split(", "), text)
    return {name: " ".join(text.replace("``", "`").split()) for name, text in texts.items()}


def values(schema: Mapping[str, Any]) -> str:
    """Possible values of a setting, from its JSON schema: {"type": "integer", "minimum": 2}."""
    if "anyOf" in schema:
        return " or ".join(map(values, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}: {values(schema['prefixItems'][0])}"
    if "items" in schema:
        return f"list of {values(schema['items'])}"
    names = {"integer": "whole number", "string": "text", "boolean": "`true`, `false`"}
    names |= {"null": "`null`", "object": "keys with values"}
    limits = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
    limits |= {"exclusiveMaximum": "below"}
    name = names.get(schema.get("type", "object"), str(schema.get("type")))
    return " ".join([name, *(f"{limits[key]} {schema[key]}" for key in limits if key in schema)])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = []
    for row in [titles, ["---"] * len(titles), *rows]:
        cells = [cell.replace("|", r"\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def settings_of(kind: Any, names: Iterable[str], prefix: str = "") -> Iterator[list[str]]:
    """Name, default, type and effect of each named field."""
    schema, texts = TypeAdapter(kind).json_schema(mode="validation"), documented(kind)
    for field in fields(kind):
        if field.name not in names:
            continue
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        shown = "" if default is MISSING else f"`{json.dumps(default)}`".replace('"', "")
        yield [
            f"`{prefix}{field.name}`",
            '`""`' if default == "" else shown,
            values(schema["properties"][field.name]),
            texts[field.name],
        ]


def settings() -> str:
    """The page of settings."""
    head = ("setting", "default", "type", "effect")
    sections = {name: kind for name, kind in get_type_hints(Params).items() if is_dataclass(kind)}
    sections |= {kind.name: resolve_name(kind.settings) for kind in KINDS.values()}
    top = [field.name for field in fields(Params) if field.name not in {*sections, "sections"}]
    parts = [SETTINGS, "## Top level\n", table(head, settings_of(Params, top))]
    for name, kind in sections.items():
        keys = ["mode"] if kind is Topics else [field.name for field in fields(kind)]
        parts += [f"## {name}\n", table(head, settings_of(kind, keys, f"{name}."))]
    entries = settings_of(Topic, [field.name for field in fields(Topic)])
    return "\n".join([*parts, CODEBOOK, table(("key", *head[1:]), entries)])


def commands() -> str:
    """The page of commands."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="paratopic")
    parts = [COMMANDS_PAGE, f"## paratopic\n\n{options(group)}\n"]
    for name in COMMANDS:
        _, command, _ = group.resolve_command(context, [name])
        parts += described(command, f"paratopic {name}")
    return "".join(parts)


def described(command: Any, name: str) -> Iterator[str]:
    """The section of a command, and those of its own commands."""
    yield f"## {name}\n\n{command.help}\n\n{options(command)}\n"
    for below in getattr(command, "commands", {}).values():
        yield from described(below, f"{name} {below.name}")


def options(command: Any) -> str:
    """Table of the arguments and options of a command."""
    records = [
        (param.get_help_record(typer.Context(command)), param.name) for param in command.params
    ]
    rows = [
        [f"`{head}`", " ".join(effect.split())]
        for (head, effect), name in records
        if name not in ("help", "install_completion", "show_completion")
    ]
    return table(("argument or option", "effect"), rows) if rows else ""


PAGES = {"settings.md": settings, "commands.md": commands}

if __name__ == "__main__":
    for name, page in PAGES.items():
        Path(ROOT, "docs", name).write_text(page(), encoding="utf-8")
