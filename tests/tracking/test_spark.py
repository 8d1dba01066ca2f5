"""A model in Spark: two worker processes predict the same as `paratopic predict --out`."""

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
    # With small batches, each worker predicts several of them.
    session = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 7).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Paragraphs with their place in their article, its title, and headings of sections."""
    table = rows[["id", "text"]].assign(group=rows["article"], title=rows["article"])
    table["position"] = table.groupby("group").cumcount()
    table["heading"] = [
        f"{title} / Duty" if n % 3 else None for n, title in enumerate(table["title"])
    ]
    table.loc[5, "text"] = " "
    return table.sample(frac=1, random_state=1)


def test_workers_predict_as_the_command_does(
    spark: Any, table: pd.DataFrame, context_model_folder: Path, tmp_path: Path
) -> None:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    model, path = load(context_model_folder), tmp_path / "table.parquet"
    table.to_parquet(path)
    expected = {row["id"]: row for row in predicted(model, path)}
    pyfunc.save(context_model_folder, tmp_path / "served", "")
    predict_topic = mlflow.pyfunc.spark_udf(spark, str(tmp_path / "served"), env_manager="local")
    near = Window.partitionBy("group").orderBy("position")
    columns = {
        "text_preceding": F.collect_list("text").over(near.rowsBetween(-3, -1)),
        "text_following": F.collect_list("text").over(near.rowsBetween(1, 3)),
    }
    paragraphs = spark.read.parquet(str(path)).repartition(WORKERS, "group").withColumns(columns)

    def predict_with(names: list[str]) -> pd.DataFrame:
        prediction = predict_topic(F.struct("text", *names)).alias("prediction")
        table = paragraphs.select("id", prediction).select("id", "prediction.*").toPandas()
        return pd.DataFrame(table)

    in_context = predict_with([*columns, "heading", "title"])
    without_context = predict_with([])
    scores = [f"score_{name}" for name in model.classes_]
    assert len(in_context) == len(expected)
    for _, row in in_context.iterrows():
        other = expected[row["id"]]
        # A row without a topic has the text "None", or null if no row of its batch has a topic.
        topic = None if pd.isna(row["topic"]) or row["topic"] == "None" else row["topic"]
        assert (topic, row["sure"]) == (other["predicted_topic"], other["sure"])
        assert row[scores].tolist() == pytest.approx([other[name] for name in scores], abs=1e-6)
    merged = in_context.merge(without_context, on="id")
    assert (merged["confidence_x"] - merged["confidence_y"]).abs().max() > 0.01
    children = {process.pid for process in psutil.Process().children(recursive=True)}
    # What ends meanwhile has no command line.
    running = [p for p in psutil.process_iter(["cmdline"]) if p.pid in children]
    programs = [" ".join(process.info["cmdline"] or []) for process in running]
    assert sum("pyspark.daemon" in program for program in programs) == 1 + WORKERS
