"""The table of what paragraphs are from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paratopic.corpus.table import SCHEMA, read_parquet, values_of, write_metadata
from paratopic.project.errors import UserError


def test_fields_are_strings_or_null_whatever_their_names(tmp_path: Path) -> None:
    path = tmp_path / "metadata.parquet"
    names = [name for name in SCHEMA.names if name != "id"]
    frame = pd.DataFrame({"id": ["a", "b"]} | {name: ["007", None] for name in ("date", *names)})
    write_metadata(frame, path)
    assert set(pq.read_schema(path).types) == {pa.string()}
    first = path.read_bytes()
    read = read_parquet(path)
    assert list(read) == ["id", "date", *names]
    assert read["date"][0] == "007" and read.loc[1, ["date", *names]].isna().all()
    write_metadata(read, path)
    assert path.read_bytes() == first
    # Without any field.
    write_metadata(pd.DataFrame({"id": ["a", "b"]}), path)
    assert read_parquet(path).to_dict("list") == {"id": ["a", "b"]}


def test_dates_that_are_years_are_in_no_month() -> None:
    rows = pd.DataFrame({"id": ["a", "b"], "article": ["a", "b"], "date": ["1971", "1972"]})
    assert values_of(rows, "year") == ["1971", "1972"]
    with pytest.raises(UserError, match="no date is so exact; use --by year"):
        values_of(rows, "month")
