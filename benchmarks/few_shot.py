"""How far few labels go: learning curves of the models, and of SetFit beside them.

Draws some rows of each class, trains every model on the same rows, and tests on rows that are
left. A run that the results' file already has is not repeated.

    python benchmarks/few_shot.py --data TABLE.parquet --shots 8 16 64 --seeds 5 --against setfit
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score
from tables import RESULTS, Draw, Table, draw, machine, read

from paratopic.baseline import fit as baseline
from paratopic.inference.scores import one_hot
from paratopic.project.files import write_json
from paratopic.project.params import Params, read_params
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer
from paratopic.transformer.encoder import resolve_encoder

# Below this a figure says nothing.
FEWEST_TESTS = 20
VERSIONS = ("scikit-learn", "sentence-transformers", "torch", "transformers")


@dataclass(frozen=True)
class Task:
    """What a method gets: labelled texts to learn from and texts to answer."""

    examples: Examples
    tests: list[str]
    topics: Topics
    params: Params
    seed: int
    minutes: float


@dataclass(frozen=True)
class Answer:
    """Predicted class numbers, seconds of training, and the share of the training that was done."""

    predicted: npt.NDArray[np.int64]
    seconds: float
    done: float = 1.0


def tfidf(task: Task) -> Answer:
    """The project's baseline."""
    started = time.perf_counter()
    model = baseline.fit(task.examples, task.topics, task.params.baseline, task.seed)
    seconds = time.perf_counter() - started
    return Answer(model.predict_proba(task.tests).argmax(axis=1), seconds)


def encoder(task: Task, epochs: int) -> Answer:
    """The project's transformer; with 0 epochs its frozen encoder with the same head."""
    params = replace(task.params.transformer, epochs=epochs)
    started = time.perf_counter()
    model = transformer.fit(task.examples, task.topics, params, task.seed)
    seconds = time.perf_counter() - started
    return Answer(model.predict_proba(task.tests).argmax(axis=1), seconds)


def train_setfit(
    texts: Sequence[str], labels: list[Any], seed: int, minutes: float, **kind: Any
) -> tuple[Any, float, float]:
    """SetFit with its defaults and the project's encoder, cut off after so many minutes.

    Returns
    -------
    The model, seconds of training, and the share of the training that was done.
    """
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        started, steps, planned = 0.0, 0, 1

        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.planned = state.max_steps

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.steps = state.global_step
            if time.perf_counter() - self.started > 60 * minutes:
                control.should_training_stop = True

    torch.use_deterministic_algorithms(False)
    place = resolve_encoder(read_params().transformer.encoder)
    columns = {"text": list(texts), "label": labels}
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            show_progress_bar=False,
        )
        model = SetFitModel.from_pretrained(place, **kind)
        trainer = Trainer(model, arguments, Dataset.from_dict(columns), callbacks=[clock])
        clock.started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - clock.started
    return model, seconds, clock.steps / clock.planned


def setfit(task: Task) -> Answer:
    """SetFit with its defaults and the same encoder, cut off after `--minutes`."""
    texts, labels = task.examples.texts, task.examples.labels.tolist()
    model, seconds, done = train_setfit(texts, labels, task.seed, task.minutes)
    predicted = model.predict(task.tests, use_labels=False, show_progress_bar=False)
    return Answer(np.asarray(predicted, dtype=np.int64), seconds, done)


METHODS: dict[str, Callable[[Task], Answer]] = {
    "tfidf": tfidf,
    "frozen": lambda task: encoder(task, 0),
    "paratopic": lambda task: encoder(task, task.params.transformer.epochs),
    "setfit": setfit,
}


def run(table: Table, drawn: Draw, seed: int, method: str, minutes: float) -> Any:
    """One line of the results."""
    names = table.labels
    topics = Topics("single", tuple(Topic(name) for name in names))
    train = one_hot(np.array([names.index(n) for n in drawn.train["label"]]), len(names))
    test = np.array([names.index(label) for label in drawn.test["label"]], dtype=np.int64)
    groups = pd.factorize(drawn.train["group"])[0].astype(np.int64)
    examples = Examples(list(drawn.train["text"]), train, groups, groups)
    answer = METHODS[method](
        Task(examples, list(drawn.test["text"]), topics, read_params(), seed, minutes)
    )
    return {
        "macro_f1": round(float(f1_score(test, answer.predicted, average="macro")), 4),
        "accuracy": round(float(accuracy_score(test, answer.predicted)), 4),
        "seconds": round(answer.seconds, 2),
        "done": round(answer.done, 4),
        "n_train": len(train),
        "n_test": len(test),
    }


KEY = ["data", "shots", "seed", "method"]


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with their standard errors: a line for each data, shots and method."""
    grouped = runs.groupby(["data", "shots", "method"], sort=False)
    lines = grouped.agg(
        seeds=("seed", "count"),
        macro_f1=("macro_f1", "mean"),
        error=("macro_f1", "sem"),
        accuracy=("accuracy", "mean"),
        seconds=("seconds", "mean"),
        done=("done", "mean"),
    )
    return lines.reset_index()


def markdown(lines: pd.DataFrame) -> str:
    """The summary as a table: macro-F1 ± its standard error, and seconds of training."""
    methods = [name for name in METHODS if name in set(lines["method"])]
    out = [
        "| data | a class | seeds | " + " | ".join(methods) + " |",
        "|---|---|---|" + "---|" * len(methods),
    ]
    for (data, shots), part in lines.groupby(["data", "shots"], sort=False):
        cells = []
        for method in methods:
            here = part[part["method"] == method]
            if here.empty:
                cells.append("")
                continue
            line = here.iloc[0]
            error = f" ± {line['error']:.3f}" if line["seeds"] > 1 else ""
            cell = f"{line['macro_f1']:.3f}{error} ({line['seconds']:.0f} s"
            if line["done"] < 1:
                cell += f", cut off at {line['done']:.0%} of its steps"
            cells.append(cell + ")")
        out.append(f"| {data} | {shots} | {part['seeds'].max()} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def picture(lines: pd.DataFrame, path: Path) -> None:
    """Learning curves: macro-F1 against labels a class, one panel a table."""
    names = list(dict.fromkeys(lines["data"]))
    figure, axes = plt.subplots(
        1, len(names), figsize=(3.2 * len(names), 3.4), sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        for number, method in enumerate(METHODS):
            part = lines[(lines["data"] == name) & (lines["method"] == method)]
            part = part.sort_values("shots")
            if len(part):
                axis.errorbar(
                    part["shots"],
                    part["macro_f1"],
                    part["error"].fillna(0),
                    label=method,
                    marker="o",
                    color=f"C{number}",
                )
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted(set(lines["shots"])), [str(s) for s in sorted(set(lines["shots"]))])
        axis.set_title(name.replace(" without ", "\nwithout "), fontsize=9)
        axis.set_xlabel("labels a class")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("macro-F1, mean ± standard error")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Print a markdown table; write every run as JSON and the learning curves as a picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", nargs="*", default=[], help="parquet files; a glob is one table")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--shots", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="*", default=["tfidf", "frozen", "paratopic"])
    parser.add_argument("--against", nargs="*", default=[], choices=["setfit"])
    parser.add_argument("--test-rows", type=int, default=250, help="at most, of each class")
    parser.add_argument("--minutes", type=float, default=30, help="after which SetFit is cut off")
    parser.add_argument("--results", type=Path, default=RESULTS / "few_shot.json")
    arguments = parser.parse_args()

    kept: list[dict[str, Any]] = []
    if arguments.results.exists():
        kept = json.loads(arguments.results.read_text(encoding="utf-8"))["runs"]
    have = {tuple(line[key] for key in KEY) for line in kept}
    tables = [read(pattern, arguments.leave_out) for pattern in arguments.data]
    for seed in range(arguments.seeds):
        for shots in arguments.shots:
            for table in tables:
                drawn = draw(table, shots, seed, arguments.test_rows)
                if len(drawn.test) < FEWEST_TESTS:
                    print(f"{table.name}: {shots} rows a class leave {len(drawn.test)} to test on")
                    continue
                for method in (*arguments.methods, *arguments.against):
                    key = (table.name, shots, seed, method)
                    if key in have:
                        continue
                    line = dict(zip(KEY, key, strict=True)) | run(
                        table, drawn, seed, method, arguments.minutes
                    )
                    print(*(f"{name}={value}" for name, value in line.items()), flush=True)
                    versions = (*VERSIONS, "setfit") if method == "setfit" else VERSIONS
                    kept.append(line | machine(*versions))
                    write_json(arguments.results, {"runs": kept})
    lines = summary(pd.DataFrame(kept).sort_values(KEY[:2], kind="stable"))
    print(markdown(lines))
    picture(lines, arguments.results.with_suffix(".png"))


if __name__ == "__main__":
    main()
