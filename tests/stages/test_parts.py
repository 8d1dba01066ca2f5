"""What stages decide themselves: what the champion is chosen by."""

from __future__ import annotations

import pandas as pd
import pytest

from paratopic.project.files import BY_DEFINITIONS, SCORES
from paratopic.stages.compare import _by_definitions


@pytest.mark.usefixtures("here")
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
