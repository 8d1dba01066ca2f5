"""How fast Spark predicts on one machine, beside `paratopic predict --out`.

Both answer the same paragraphs by the same model, which may read neighbours: Spark finds these with
a window function. Paragraphs are made of a table's sentences, in articles of 20. Each arrangement
is a process of its own. No cluster is measured: the workers share one machine, and nothing goes
over a network.

    python benchmarks/spark.py --data TABLE.parquet --model models/transformer
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from operator import ne, sub
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from record import parser_of, save
from scale import PROGRAM, recombine
from tables import markdown, read

from paratopic import load
from paratopic.inference.registry import SETTINGS
from paratopic.tracking import pyfunc

# Paragraphs of an article, and tasks of Spark, each with whole articles.
IN_ARTICLE, TASKS = 20, 2
KEY = ["data", "model", "rows", "way", "workers", "batch"]
# What is printed of each.
SHOWN = {
    "": "{way}",
    "workers": "{workers}",
    "batch": "{batch:,}",
    "session": "{session_s:.1f} s",
    "first article": "{first_s:.1f} s",
    "again": "{again_s:.1f} s",
    "all": "{seconds:.1f} s",
    "paragraphs": "{rate:.0f}/s",
    "memory of a worker": "{worker_mb} MB",
    "other answers": "{different}",
    "largest difference": "{difference:.1e}",
}


def make_paragraphs(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """Columns id, text, group and position of about n paragraphs of a table's sentences."""
    texts = recombine(rows, n, 0)["text"]
    made = pd.DataFrame({"id": range(len(texts)), "text": texts})
    return made.assign(group=made["id"] // IN_ARTICLE, position=made["id"] % IN_ARTICLE)


def seconds_of(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def in_spark(folder: Path, out: Path, workers: int, batch: int) -> dict[str, float]:
    """Predict the paragraphs of a folder in Spark.

    Parameters
    ----------
    folder
        With the model in MLflow's format, `served`, and `paragraphs.parquet`.
    batch
        Number of rows that a worker predicts at once.

    Returns
    -------
    Seconds until a session is there, for an article, for it again with workers that have started,
    and for all; the memory of a worker in MB.
    """
    from pyspark.sql import SparkSession, Window
    from pyspark.sql import functions as F

    begun = time.perf_counter()
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", False)
    builder = builder.config("spark.ui.showConsoleProgress", False)
    spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", batch).getOrCreate()
    topic_of = mlflow.pyfunc.spark_udf(spark, str(folder / "served"), env_manager="local")
    near = Window.partitionBy("group").orderBy("position")
    rows = spark.read.parquet(str(folder / "paragraphs.parquet")).repartition(TASKS, "group")
    read = F.struct(
        "text",
        F.collect_list("text").over(near.rowsBetween(-3, -1)).alias("text_preceding"),
        F.collect_list("text").over(near.rowsBetween(1, 3)).alias("text_following"),
    )
    answers = rows.select("id", "group", topic_of(read).alias("answer"))
    first = answers.where("group = 0")
    return {
        "session_s": time.perf_counter() - begun,
        "first_s": seconds_of(first.collect),
        "again_s": seconds_of(first.collect),
        "seconds": seconds_of(lambda: answers.select("id", "answer.*").write.parquet(str(out))),
        "worker_mb": worker_mb(),
    }


def worker_mb() -> int:
    """Peak memory of the largest of Spark's Python workers in MB; 0 on systems without /proc."""
    peaks = [0]
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError, KeyError):  # the process has ended
            if b"pyspark.daemon" in status.with_name("cmdline").read_bytes():
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                peaks.append(int(fields["VmHWM"].split()[0]) // 1024)
    return max(peaks)


def different(answers: pd.DataFrame, expected: pd.DataFrame) -> dict[str, float]:
    """Number of topics that differ from those of predict, and the largest difference of scores."""
    answers, expected = answers.set_index("id").sort_index(), expected.set_index("id").sort_index()
    scores = (table.filter(like="score_") for table in (answers, expected))
    # Without a topic it is the text None, or null where all of a batch are without.
    topics = (column.fillna("None") for column in (answers["topic"], expected["predicted_topic"]))
    return {
        "different": int(ne(*topics).sum()),
        "difference": float(sub(*scores).abs().to_numpy().max()),
    }


def measure(folder: Path, model: str, workers: list[int], batches: list[int]) -> list[Any]:
    """Lines of the results: predict with as many threads as workers, and Spark in each way."""
    table, lines = folder / "paragraphs.parquet", []
    for threads in workers:
        out = folder / f"predict-{threads}"
        command = [sys.executable, "-c", PROGRAM, "predict", str(table), "--model", model]
        command += ["--out", str(out)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        begun = time.perf_counter()
        subprocess.run(command, env=environment, capture_output=True, check=True)
        seconds = time.perf_counter() - begun
        lines.append({"way": "predict --out", "workers": threads, "seconds": seconds})
    expected = pd.concat(map(pd.read_parquet, out.glob("*.parquet")))
    for number, batch in product(workers, batches):
        out = folder / f"spark-{number}-{batch}"
        words = json.dumps([str(folder), str(out), number, batch])
        command = [sys.executable, __file__, "--once", words]
        environment = os.environ | SETTINGS
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        line = {"way": "Spark", "workers": number, "batch": batch} | json.loads(done.stdout)
        lines.append(line | different(pd.read_parquet(out), expected))
    return lines


def main() -> None:
    """Print a table and write it."""
    if sys.argv[1:2] == ["--once"]:
        folder, out, workers, batch = json.loads(sys.argv[2])
        print(json.dumps(in_spark(Path(folder), Path(out), workers, batch)))
        return
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", required=True, help="parquet with text and label")
    parser.add_argument("--model", required=True, help="folder of a model")
    parser.add_argument("--rows", type=int, default=20_000, help="about so many to predict")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[10_000, 1_000, 100])
    arguments = parser.parse_args()

    data, model = read(arguments.data), load(arguments.model)
    rows = make_paragraphs(data.rows, arguments.rows)
    about = {"data": data.name, "model": model.kind, "rows": len(rows)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows.to_parquet(folder / "paragraphs.parquet", index=False)
        pyfunc.save(model.folder, folder / "served", "")
        lines = measure(folder, arguments.model, arguments.workers, arguments.batches)
    lines = [about | line | {"rate": len(rows) / line["seconds"]} for line in lines]
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))


if __name__ == "__main__":
    main()
