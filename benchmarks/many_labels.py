"""Whether models go on learning from thousands of labels, and plain recipes beside them.

Sets documents of a table aside to test on, draws labels at random from the others, and fits each
model to them. Every class is a topic, and there are no definitions. Of the tuned transformer it is
also measured how often the 8-bit copy that ships gives another answer than full precision. A run
that the file of results already has is not repeated.

    python benchmarks/many_labels.py --data TREC --labels 300 1000 5000
    python benchmarks/many_labels.py --data SENTENCES --labels 1000 3000 --context
    python benchmarks/many_labels.py --data TREC --label code --labels 300 1000
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import recipes
from record import done, parser_of, save, saved
from simulation import Embeddings, embeddings
from sklearn.metrics import accuracy_score, f1_score
from tables import Table, markdown, read, with_error

from paratopic.inference.modes import one_hot
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.passages import Passage
from paratopic.project.texts import Text, numbered
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer
from paratopic.transformer.network import Embedder

TESTS = 1500


@dataclass(frozen=True)
class Task:
    """Rows to learn from and to answer, with columns text, passage, label and group."""

    train: pd.DataFrame
    tests: pd.DataFrame
    embeddings: Embeddings
    params: Params
    seed: int


@dataclass(frozen=True)
class Answers:
    """Answers to the tests, and those in full precision where they may differ."""

    predicted: npt.NDArray[Any]
    full: npt.NDArray[Any] | None = None


def frozen(task: Task) -> Answers:
    """scikit-learn's logistic regression with balanced classes on the frozen encoder."""
    to_learn, to_answer = (
        np.array([task.embeddings[text] for text in part["text"]])
        for part in (task.train, task.tests)
    )
    return Answers(recipes.frozen(to_learn, list(task.train["label"]), to_answer))


def tfidf(task: Task) -> Answers:
    """The same on TF-IDF features."""
    train = task.train
    return Answers(
        recipes.tfidf(list(train["text"]), list(train["label"]), list(task.tests["text"]))
    )


def plain(task: Task) -> Answers:
    """Plain fine-tuning with cross-entropy."""
    texts, labels = list(task.train["text"]), list(task.train["label"])
    tests = list(task.tests["text"])
    return Answers(recipes.fine_tuned(texts, labels, tests, task.params, task.seed))


def paratopic(column: str) -> Callable[[Task], Answers]:
    """The project's transformer, on texts alone or in context."""

    def run(task: Task) -> Answers:
        classes, truth = np.unique(task.train["label"].to_numpy(dtype=str), return_inverse=True)
        topics = Topics("single", tuple(Topic(f"class_{n}") for n in range(len(classes))))
        groups = pd.factorize(task.train["group"])[0].astype(np.int64)
        texts: list[Text] = list(task.train[column])
        examples = Examples(numbered(texts), one_hot(truth, len(classes)), groups, groups)
        model = transformer.fit(examples, topics, task.params.section("transformer"), task.seed)
        in_full = Embedder(model._tuned)
        both = (
            classes[each.predict_proba(numbered(task.tests[column])).argmax(axis=1)]
            for each in (model, replace(model, _embedder=in_full))
        )
        return Answers(*both)

    return run


METHODS: dict[str, Callable[[Task], Answers]] = {
    "TF-IDF": tfidf,
    "frozen": frozen,
    "plain": plain,
    "paratopic": paratopic("text"),
    "paratopic in context": paratopic("passage"),
}
# What runs differ in. One that the file of results has is not repeated.
KEY = ["data", "labels", "seed", "method"]


def rows_of(table: Table, pattern: str) -> pd.DataFrame:
    """Rows of the table, with the texts beside each where the file has them."""
    rows = table.rows.assign(passage=table.rows["text"])
    path = Path(pattern)
    if path.is_file():
        file = pd.read_parquet(path)
        if {"text_preceding", "text_following"} <= set(file):
            near = zip(file["text"], file["text_preceding"], file["text_following"], strict=True)
            passages = [Passage(text, before, after) for text, before, after in near]
            rows["passage"] = pd.Series(passages, index=rows.index, dtype=object)
    return rows


def draw(rows: pd.DataFrame, n: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with n labels at random, and others to test on, of other documents.

    Those to test on are as many as the labels leave, but `TESTS` at most. Classes that no label
    names are left out of them.
    """
    rng = np.random.default_rng([seed, n])
    groups = rng.permutation(rows["group"].unique())
    n_rows = rows["group"].value_counts()[groups].cumsum()
    aside = rows["group"].isin(n_rows.index[n_rows <= max(1, min(TESTS, len(rows) - n))])
    known, tests = rows[~aside], rows[aside]
    train = known.iloc[rng.permutation(len(known))[:n]]
    return train, tests[tests["label"].isin(train["label"])]


def figures(answers: Answers, truth: npt.NDArray[Any]) -> dict[str, float]:
    """How good answers are, and how close those in 8 bits are to those in full precision."""
    classes, predicted = sorted(set(truth)), answers.predicted
    line = {
        "macro_f1": f1_score(truth, predicted, average="macro", labels=classes),
        "accuracy": accuracy_score(truth, predicted),
    }
    if answers.full is not None:
        line["full_macro_f1"] = f1_score(truth, answers.full, average="macro", labels=classes)
        line["same_in_full"] = (answers.full == predicted).mean()
    return {name: float(value) for name, value in line.items()}


def lines_of(runs: pd.DataFrame) -> list[dict[str, object]]:
    """A line for each table and number of labels: means over draws, by method."""
    methods = [name for name in METHODS if name in set(runs["method"])]
    lines = []
    for (data, labels), part in runs.groupby(KEY[:2], sort=False):
        wide = part.pivot(index="seed", columns="method", values="macro_f1")
        mean = part.groupby("method")[["macro_f1", "accuracy"]].mean()
        line: dict[str, object] = {"table": data, "labels": f"{labels:,}", "draws": len(wide)}
        for name in methods:
            values = mean[mean.index == name].to_numpy().ravel()  # none if it was not run
            line[name] = ", ".join(f"{x:.3f}".removeprefix("0") for x in values)
        wide = wide.reindex(columns=["paratopic", "plain"])
        line["above plain, points"] = with_error(100 * (wide["paratopic"] - wide["plain"]))
        lines.append(line)
    return lines


def picture(runs: pd.DataFrame, path: Path) -> None:
    """Learning curves: macro-F1 by number of labels, a panel for each table."""
    tables = list(dict.fromkeys(runs["data"]))
    methods = [name for name in METHODS if name in set(runs["method"])]
    figure, axes = plt.subplots(
        1, len(tables), figsize=(3.2 * len(tables) + 1, 3), squeeze=False, layout="constrained"
    )
    for panel, name in zip(axes[0], tables, strict=True):
        for method in methods:
            part = runs[(runs["data"] == name) & (runs["method"] == method)]
            mean = part.groupby("labels")["macro_f1"].mean()
            panel.plot(mean.index, mean, marker="o", markersize=4, label=method)
        numbers = sorted(set(runs.loc[runs["data"] == name, "labels"]))
        panel.set(xscale="log", title=name, xlabel="labels")
        panel.minorticks_off()
        panel.set_xticks(numbers, [f"{n:,}" for n in numbers])
        panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel("macro-F1")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of all runs; write every run, and the curves as a picture."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", required=True, help="parquet file, or glob, with text and label")
    parser.add_argument("--label", default="label", help="column with the classes")
    parser.add_argument("--labels", type=int, nargs="+", default=[1000])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--context", action="store_true", help="texts with what is beside them too")
    parser.add_argument("--keep", type=Path, help="folder that keeps embeddings for later runs")
    options = parser.parse_args(arguments)

    have = done(options, KEY)
    alone = [name for name in METHODS if not name.endswith("in context")]
    methods = options.methods or (list(METHODS) if options.context else alone)
    table, params = read(options.data, column=options.label), Project().params
    rows = rows_of(table, options.data)
    cache = options.keep and options.keep / f"{table.name}.npz"
    known = embeddings(list(rows["text"]), params, cache) if "frozen" in methods else {}
    for seed in range(options.first_seed, options.first_seed + options.draws):
        for n in options.labels:
            train, tests = draw(rows, n, seed)
            for method in methods:
                key = (table.name, len(train), seed, method)
                if key in have:
                    continue
                started = time.perf_counter()
                answers = METHODS[method](Task(train, tests, known, params, seed))
                line: dict[str, Any] = dict(zip(KEY, key, strict=True))
                line |= figures(answers, tests["label"].to_numpy())
                line |= {"seconds": time.perf_counter() - started, "tests": len(tests)}
                print(*(f"{name}={value}" for name, value in line.items()), flush=True)
                save(options.results, [line], KEY, __file__)
    runs = pd.DataFrame(saved(options.results))
    print(markdown(lines_of(runs)))
    picture(runs, options.results.with_suffix(".png"))


if __name__ == "__main__":
    main()
