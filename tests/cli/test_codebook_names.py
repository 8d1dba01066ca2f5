"""Labels of another codebook, and names that have brackets and colons."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from paratopic.project.files import write_json
from paratopic.project.paths import PREPARED
from tests.programs import ROOT, Cli
from tests.samples import paragraph_table, write_labelled


def start_project(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A project of three paragraphs; each of the topics named has a rule."""
    monkeypatch.chdir(folder)
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    patterns = ("goal", "tariff")
    settings["topics"]["codebook"] = [
        {"name": name, "pattern": pattern} for name, pattern in zip(names, patterns, strict=True)
    ]
    settings["prepare"]["labels"] = None
    YAML(typ="safe").dump(settings, folder / "params.yaml")
    rows = paragraph_table(
        text=["A goal.", "A tariff.", "A goal and a tariff."],
        topics=[["sport"], ["trade"], ["sport"]],
        label_source=["hand"] * 3,
    )
    write_labelled(rows)


def test_labels_of_another_codebook_are_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    start_project(tmp_path, monkeypatch, "sport", "commerce")
    message = "001 has the topic trade, which the codebook in params.yaml lacks: run `dvc repro"
    assert message in cli("publish", "labels", "--to", "out", "--yes", status=1)
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["sport [men]", "sport [/men]", "sport :soccer:"])
def test_names_are_shown_as_they_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    start_project(tmp_path, monkeypatch, name, "trade")
    rows = paragraph_table(text=["A goal."], topics=[[name]], label_source=["hand"])
    write_labelled(rows)
    write_json(PREPARED, {"labelled_by": ["hand"], "weak": []})
    assert name in cli("status")
