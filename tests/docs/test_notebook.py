"""examples/llm.ipynb runs, and its shares are nearer to the truth than counted answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.programs import ROOT


def test_the_notebook_on_a_language_models_answers_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict[str, Any] = {}
    notebook = json.loads((ROOT / "examples/llm.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec("".join(cell["source"]), names)
    assert len(names["axes"].containers) == 2  # a line with intervals for each topic
    table, rows, truth = names["table"], names["shares"].parts, names["truth"]
    for topic in names["topics"][:2]:
        share = rows[rows["topic"] == topic].set_index("year")["share"]
        true, counted = (
            (each == topic).groupby(table["year"]).mean() for each in (truth, table["llm"])
        )
        assert (share - true).abs().mean() < (counted - true).abs().mean() / 2
