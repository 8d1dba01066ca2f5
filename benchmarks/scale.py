"""Rows against seconds and memory, stage by stage, and the power with which they grow.

The pipeline's stages run each as a process in a project of its own, on so many rows of a labelled
table; more than it has are made of its sentences. The champion then predicts the whole table, in
bulk. Without the transformer, one fit of the baseline stands beside them, and scikit-learn's
TfidfVectorizer and LogisticRegression with the same features and the same candidates for C. They
are left out of tables of which the baseline learns from a part only.

A stage that the file of results has is not run again. So stages of large tables can be run one at a
time, in a folder that keeps the project.

    python benchmarks/scale.py --data BILLS --rows 1000 2000 4000 10000
    python benchmarks/scale.py --data BILLS --rows 100000 --models transformer
    python benchmarks/scale.py --data BILLS --rows 1000000 --keep FOLDER --stages prepare split
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import done, only, parser_of, rows_of, save, saved
from ruamel.yaml import YAML
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_union
from tables import Table, markdown, read

from paratopic.baseline import fit as baseline
from paratopic.inference.modes import one_hot
from paratopic.project.folder import Project
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.stages import calibrate, compare, evaluate, fit, package, prepare, split, train
from paratopic.training.examples import Examples

STAGES = (prepare, split, fit, calibrate, evaluate, train, package, compare)
OF_A_MODEL = {fit, calibrate, evaluate, train, package}
FITS = ("one fit", "scikit-learn")
PROGRAM = "from paratopic.cli.app import main; main()"
# Share of recombined texts that are copies of another, but for a word.
COPIES = 0.03
KEY = ["data", "models", "rows", "stage"]


def measure(command: list[str], folder: Path) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory in MB of a process and those that it waited for.

    Memory is that of the process that needs most.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return {
        "seconds": time.perf_counter() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss / 1024,
    }


def recombine(rows: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Make about n texts of one to three sentences of texts with one label; some are copies."""
    rng = np.random.default_rng(seed)
    made = []
    for label, of_label in rows.groupby("label", sort=False):
        split = (re.split(r"(?<=[.!?])\s+", text) for text in of_label["text"])
        sentences = np.array([sentence for text in split for sentence in text], dtype=object)
        n_texts = round(n * len(of_label) / len(rows))
        numbers = rng.integers(1, 4, n_texts)
        texts = [
            " ".join(sentences[rng.integers(len(sentences), size=number)]) for number in numbers
        ]
        for original, copy in rng.integers(0, n_texts, (round(COPIES * n_texts), 2)):
            texts[copy] = f"Later {texts[original]}"
        made.append(pd.DataFrame({"text": texts, "label": label}))
    frame = pd.concat(made, ignore_index=True)
    return frame.assign(group=[f"row {number}" for number in range(len(frame))])


def make_project(folder: Path, table: Table, n: int, models: list[str]) -> None:
    """Write params.yaml and a labelled table of n rows, drawn at random, to a folder."""
    settings: dict[str, Any] = YAML(typ="safe").load(Path("params.yaml"))
    settings["models"] = models
    settings["topics"]["codebook"] = [{"name": label} for label in table.labels]
    settings["prepare"] = {
        "sources": ["table.parquet"],
        "labels": None,
        "no_topic": [],
        "ties": "leave_out",
        "skip_boilerplate": True,
    }
    YAML(typ="safe").dump(settings, folder / "params.yaml")
    seed = settings["seed"]
    drawn = n <= len(table.rows)
    rows = table.rows.sample(n, random_state=seed) if drawn else recombine(table.rows, n, seed)
    rows[["text", "label", "group"]].to_parquet(folder / "table.parquet", index=False)


def fit_once(kind: str) -> None:
    """Fit the table in the current directory once, as a process of `measure`."""
    params = Project().params
    rows = pd.read_parquet("table.parquet")
    labels, names = pd.factorize(rows["label"], sort=True)
    section = params.section("baseline")
    if kind == "one fit":
        group = pd.factorize(rows["group"])[0].astype(np.int64)
        targets = one_hot(labels.astype(np.int64), len(names))
        examples = Examples(numbered(rows["text"]), targets, group, group)
        baseline.fit(examples, Topics("single", tuple(names)), section, params.seed)
        return
    common: dict[str, Any] = {"sublinear_tf": True, "strip_accents": "unicode"}
    features = make_union(
        TfidfVectorizer(**common, ngram_range=section.word_ngrams),
        TfidfVectorizer(**common, analyzer="char_wb", ngram_range=section.char_ngrams),
    ).fit_transform(rows["text"])
    regression = LogisticRegression(class_weight="balanced", max_iter=1000)
    grid = {"C": list(section.strengths)}
    GridSearchCV(regression, grid, scoring="neg_log_loss", cv=section.inner_folds).fit(
        features, labels
    )


def commands_of(n: int, models: list[str]) -> dict[str, list[str]]:
    """What is run on n rows: name → arguments of Python."""
    commands = {
        f"{stage.__name__.rpartition('.')[2]} {model}".strip(): [
            *("-m", stage.__name__),
            *model.split(),
        ]
        for stage in STAGES
        for model in (models if stage in OF_A_MODEL else [""])
    }
    commands["predict"] = ["-c", PROGRAM, "predict", "table.parquet", "--out", "predicted"]
    if models == ["baseline"] and n <= baseline.MOST_TEXTS:
        commands |= {kind: [str(Path(__file__).resolve()), "--fit", kind] for kind in FITS}
    return commands


def measured(
    table: Table, n: int, models: list[str], stages: set[str], folder: Path
) -> Iterator[dict[str, Any]]:
    """A line for each of the stages, in a project of n rows, which is made if it is not there."""
    if not folder.exists():
        folder.mkdir(parents=True)
        make_project(folder, table, n, models)
    for stage, command in commands_of(n, models).items():
        if stage in stages:
            line = {"stage": stage, "rows": n} | measure([sys.executable, *command], folder)
            print(*line.values(), file=sys.stderr, flush=True)
            yield line


def power(rows: pd.Series[int], cost: pd.Series[float]) -> float:
    """Exponent p of a cost that grows as rows to the power of p, by least squares on logs."""
    return float(np.polyfit(np.log(rows), np.log(cost), 1)[0]) if len(rows) > 1 else np.nan


def lines_of(found: pd.DataFrame) -> list[dict[str, str]]:
    """Seconds (CPU seconds, MB) by stage and rows, and the power of growth of CPU seconds."""
    lines = []
    for stage, part in found.groupby("stage", sort=False):
        line = {"stage": str(stage)} | {f"{n:,}": "" for n in sorted(set(found["rows"]))}
        for row in rows_of(part):
            cell = f"{row['seconds']:.1f} s ({row['cpu']:.1f} s, {row['memory']:.0f} MB)"
            line[f"{row['rows']:,}"] = cell
        lines.append(line | {"power": f"{power(part['rows'], part['cpu']):.2f}"})
    return lines


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", help="parquet file with text, label")
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 2000, 4000, 10000])
    parser.add_argument("--models", nargs="+", default=["baseline"])
    parser.add_argument("--keep", type=Path, help="folder of the projects, which are kept")
    parser.add_argument("--stages", nargs="+", help="stages to run; default: all")
    parser.add_argument("--fit", choices=FITS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        fit_once(arguments.fit)
        return
    table, models, path = read(arguments.data), arguments.models, arguments.results
    about = {"data": table.name, "models": " ".join(models)}
    have = done(arguments, KEY)
    with tempfile.TemporaryDirectory() as temporary:
        for n in sorted(arguments.rows):
            stages = set(arguments.stages or commands_of(n, models))
            stages -= {stage for *cell, stage in have if cell == [*about.values(), n]}
            folder = (arguments.keep or Path(temporary)) / str(n)
            for line in measured(table, n, models, stages, folder):
                save(path, [about | line], KEY, __file__)
    found = only(pd.DataFrame(saved(path)), **{name: [value] for name, value in about.items()})
    print(markdown(lines_of(found)))


if __name__ == "__main__":
    main()
