"""How fast prediction is, beside what else opens the same weights.

Trains the project's models on some rows of each class and lets every engine of `engines.py` answer
the same other rows, each in a fresh process. The network in full precision says what the
transformers should answer.

    python benchmarks/predict.py --data TABLE.parquet --rows 2000
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from engines import ENGINES, REPEATS, SIZES
from record import parser_of, save
from sklearn.metrics import f1_score
from tables import Draw, draw, markdown, read

from paratopic.baseline import fit as baseline
from paratopic.inference.modes import Calibration, one_hot
from paratopic.project.folder import Project
from paratopic.project.texts import numbered
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer

SCRIPT = str(Path(__file__).with_name("engines.py"))
KEY = ["data", "rows", "engine"]
# What is printed of each.
SHOWN = {
    "": "{engine}",
    **{f"{n} at once": f"{{rate_{n}:,.0f}}/s" for n in (*SIZES, "bulk")},
    "cold start": "{cold_start_s:.2f} s",
    "memory": "{peak_mb} MB",
    "macro-F1": "{macro_f1:.3f}",
}


def train(rows: Draw, names: tuple[str, ...], models: Path) -> list[int]:
    """Write the models: the baseline, the transformer as it ships, and in full precision.

    Returns
    -------
    Answers of the network in full precision.
    """
    labels = np.array([names.index(label) for label in rows.train["label"]])
    groups = pd.factorize(rows.train["group"])[0].astype(np.int64)
    examples = Examples(numbered(rows.train["text"]), one_hot(labels, len(names)), groups, groups)
    topics, params = Topics("single", tuple(map(Topic, names))), Project().params
    simple = baseline.fit(examples, topics, params.section("baseline"), 0)
    simple.save(models / "baseline", Calibration())
    shipped = transformer.fit(examples, topics, params.section("transformer"), 0)
    shipped.save(models / "shipped", Calibration())
    transformer.CLOSE = 2.0  # No cosine is: so nothing is rounded.
    model = transformer.fit(examples, topics, params.section("transformer"), 0)
    model.save(models / "full", Calibration())
    # But the logit of having a topic at all, which others do not know.
    coef, intercept = model._head.coef[:-1], model._head.intercept[:-1]
    np.savez(models / "full" / "head.npz", coef=coef, intercept=intercept)
    answers = model.predict_proba(numbered(rows.capped["text"])).argmax(axis=1)
    return [int(n) for n in answers]


def first_answer(engine: str, models: Path) -> tuple[float, float]:
    """Median seconds from a process's start to its first answer, and its peak memory in MB."""
    seconds, memory = [], []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        command = [sys.executable, SCRIPT, engine, str(models)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begun)
        memory.append(int(done.stdout.split()[-1]) / 1024)
    return statistics.median(seconds), statistics.median(memory)


def run(engine: str, models: Path, rows: Path, true: list[int], network: list[int]) -> Any:
    """One line of the results: rates in texts a second, cold start, memory, quality."""
    command = [sys.executable, SCRIPT, engine, str(models), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    answers = told.pop("answers")
    cold, memory = first_answer(engine, models)
    return {f"rate_{size}": rate for size, rate in told.items()} | {
        "cold_start_s": cold,
        "peak_mb": round(memory),
        "macro_f1": float(f1_score(true, answers, average="macro")),
        "same_as_network": float(np.mean(np.array(answers) == np.array(network))),
    }


def picture(lines: pd.DataFrame, title: str, path: Path) -> None:
    """Bulk rates and cold starts, an engine a bar."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), sharey=True)
    for axis, column, label, form in (
        (axes[0], "rate_bulk", "texts a second, bulk (log scale)", "{:,.0f}"),
        (axes[1], "cold_start_s", "seconds to the first answer of a process", "{:.2f}"),
    ):
        bars = axis.barh(lines["engine"], lines[column], color="C0")
        axis.bar_label(bars, fmt=form, padding=3)
        axis.margins(x=0.15)
        axis.set(xlabel=label)
    axes[0].set(xscale="log", xlim=(10, 4 * lines["rate_bulk"].max()))
    axes[0].invert_yaxis()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print a table; write it and a picture."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", required=True, help="parquet with text, label, optional group")
    parser.add_argument("--shots", type=int, default=64, help="rows of each class to train on")
    parser.add_argument("--rows", type=int, default=2000, help="to answer, at most")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    arguments = parser.parse_args()

    table = read(arguments.data)
    drawn = draw(table, arguments.shots, 0, -(-arguments.rows // len(table.labels)))
    true = [table.labels.index(label) for label in drawn.capped["label"]]
    with tempfile.TemporaryDirectory() as folder:
        models, rows = Path(folder), Path(folder) / "rows.json"
        network = train(drawn, table.labels, models)
        rows.write_text(json.dumps(list(drawn.capped["text"])), encoding="utf-8")
        lines = []
        for engine in arguments.engines:
            about = {"data": table.name, "rows": len(true), "engine": engine}
            lines.append(about | run(engine, models, rows, true, network))
            print(*(f"{name}={value}" for name, value in lines[-1].items()), flush=True)
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))
    path = arguments.results.with_name(f"{arguments.results.stem}_{table.name}.png")
    picture(pd.DataFrame(lines), f"{len(true)} texts of {table.name}", path)


if __name__ == "__main__":
    main()
