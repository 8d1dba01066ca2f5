"""What the comparison is told: the champion so far, and scores by the definitions alone."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from paratopic.project.files import BY_DEFINITIONS, COMPARISON, SCORES
from paratopic.stages.compare import _by_definitions, _incumbent

pytestmark = pytest.mark.usefixtures("here")


def test_the_champion_of_the_last_comparison_is_the_incumbent() -> None:
    assert _incumbent() is None
    COMPARISON.parent.mkdir(parents=True)
    COMPARISON.write_text(json.dumps({"champion": "transformer"}))
    assert _incumbent() == "transformer"
    for damaged in ("", "[", "{}"):  # it is written anew
        COMPARISON.write_text(damaged, encoding="utf-8")
        assert _incumbent() in (None, "None")


def test_definitions_alone_decide_where_all_models_were_scored_by_them() -> None:
    tables = {name: pd.DataFrame({"id": [name]}) for name in ("baseline", "transformer")}
    for name, table in tables.items():
        (SCORES / name).mkdir(parents=True)
        assert _by_definitions(list(tables)) == {}
        table.to_parquet(SCORES / name / BY_DEFINITIONS)
    scores = _by_definitions(list(tables))
    assert {name: table["id"].tolist() for name, table in scores.items()} == {
        name: [name] for name in tables
    }
