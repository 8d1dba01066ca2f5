"""The workflow that runs the tests on several systems names what exists here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from tests.programs import ROOT

JOBS: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github/workflows/tests.yml")["jobs"]


def commands() -> Iterator[str]:
    for job in JOBS.values():
        for step in job["steps"]:
            yield from step.get("run", "").splitlines()


def test_its_commands_are_those_of_the_readme_and_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = [line.split()[1] for line in commands() if line.startswith("make ")]
    assert made == ["repro", "test"] * len(JOBS) and {*made} <= {*targets}
    install = "pip install torch --index-url"
    page = (ROOT / "docs/predicting.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if install in line]
    assert sum(command == line for command in commands()) == len(JOBS)


def test_its_pythons_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: "
    named = [c.removeprefix(prefix) for c in project["classifiers"] if c.startswith(prefix)]
    assert JOBS["tests"]["strategy"]["matrix"]["python"] == named
    assert project["requires-python"] == f">={named[0]}"
