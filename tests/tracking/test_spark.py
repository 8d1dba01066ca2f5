"""A model in Spark: two worker processes answer as `paratopic predict --out` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import psutil
import pytest

from paratopic import load
from paratopic.tracking import pyfunc
from tests.bulk.bulk_runs import predicted
from tests.programs import needs_spark

pytestmark = needs_spark
WORKERS = 2


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{WORKERS}]").config("spark.ui.enabled", False)
    # Smaller than what a worker has to predict: each predicts several batches.
    session = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 7).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Paragraphs with their place in their article, its title, and headings of sections."""
    made = rows[["id", "text"]].assign(group=rows["article"], title=rows["article"])
    made["position"] = made.groupby("group").cumcount()
    made["heading"] = [
        f"{title} / Duty" if n % 3 else None for n, title in enumerate(made["title"])
    ]
    made.loc[5, "text"] = " "
    return made.sample(frac=1, random_state=1)


def test_workers_answer_as_predict_does(
    spark: Any, table: pd.DataFrame, reading_folder: Path, tmp_path: Path
) -> None:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    model, path = load(reading_folder), tmp_path / "table.parquet"
    table.to_parquet(path)
    expected = {row["id"]: row for row in predicted(model, path)}
    pyfunc.save(reading_folder, tmp_path / "served", "")
    topic_of = mlflow.pyfunc.spark_udf(spark, str(tmp_path / "served"), env_manager="local")
    near = Window.partitionBy("group").orderBy("position")
    columns = {
        "text_preceding": F.collect_list("text").over(near.rowsBetween(-3, -1)),
        "text_following": F.collect_list("text").over(near.rowsBetween(1, 3)),
    }
    paragraphs = spark.read.parquet(str(path)).repartition(WORKERS, "group").withColumns(columns)
    in_context, alone = (
        paragraphs.select("id", topic_of(F.struct("text", *names)).alias("answer"))
        .select("id", "answer.*")
        .toPandas()
        for names in ([*columns, "heading", "title"], [])
    )
    scores = [f"score_{name}" for name in model.classes_]
    assert len(in_context) == len(expected)
    for _, row in in_context.iterrows():
        other = expected[row["id"]]
        # Without a topic it is the text None, or null where all of a batch are without.
        topic = None if pd.isna(row["topic"]) or row["topic"] == "None" else row["topic"]
        assert (topic, row["sure"]) == (other["predicted_topic"], other["sure"])
        assert row[scores].tolist() == pytest.approx([other[name] for name in scores], abs=1e-6)
    both = in_context.merge(alone, on="id")
    assert (both["confidence_x"] - both["confidence_y"]).abs().max() > 0.01
    programs = [" ".join(each.cmdline()) for each in psutil.Process().children(recursive=True)]
    assert sum("pyspark.daemon" in program for program in programs) == 1 + WORKERS
