"""Labels of another codebook, and names that have brackets and colons."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from paratopic.project.files import write_json
from paratopic.project.paths import PREPARED
from tests.programs import ROOT, Cli
from tests.samples import paragraph_table, write_labelled


def start_project(folder: Path, first: str, second: str, *labels: str) -> None:
    """A project of paragraphs with these labels; each of its two topics has a rule."""
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    settings["topics"]["codebook"] = [
        {"name": first, "pattern": "goal"},
        {"name": second, "pattern": "tariff"},
    ]
    settings["prepare"]["labels"] = None
    YAML(typ="safe").dump(settings, folder / "params.yaml")
    rows = paragraph_table(
        text=[f"A goal and a tariff, number {number}." for number in range(len(labels))],
        topics=[[label] for label in labels],
        label_source=["hand"] * len(labels),
    )
    write_labelled(rows)


def test_labels_of_another_codebook_are_not_published(here: Path, cli: Cli) -> None:
    start_project(here, "sport", "commerce", "sport", "trade", "sport")
    message = "001 has the topic trade, which the codebook in params.yaml lacks: run `dvc repro"
    assert message in cli("publish", "labels", "--to", "out", "--yes", status=1)
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["sport [men]", "sport [/men]", "sport :soccer:"])
def test_names_are_shown_as_they_are(name: str, here: Path, cli: Cli) -> None:
    start_project(here, name, "trade", name)
    write_json(PREPARED, {"labelled_by": ["hand"], "weak": []})
    assert name in cli("status")
