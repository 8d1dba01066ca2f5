"""How good answers are where topics are rare: the product, and plain recipes on the same labels.

Draws some rows of a table in the shares that its classes have, with classes that are none of the
topics, and others without their labels. The product's own steps follow: out-of-fold scores, their
calibration, the final fit, the saved folder, and what `predict` makes of rows that were not drawn.
A run that the file of results already has is not repeated.

    python benchmarks/answers.py --data BILLS SPEECHES --none other --labels 40 100 300 --draws 8
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import recipes
from few_shot import codebook
from record import done, only, parser_of, save, saved
from simulation import calibrated, embeddings, population, trained, without
from sklearn.metrics import accuracy_score, f1_score
from tables import Table, markdown, read, with_error

from paratopic import load
from paratopic.baseline import fit as baseline
from paratopic.corpus.folds import TooFewLabels, make_folds, no_folds
from paratopic.corpus.labelled import Labelled, Pool
from paratopic.corpus.table import targets_of
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.topics import Topic, Topics
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.training.examples import topics_are_rare
from paratopic.transformer import fit as transformer

TESTS = 1000
# Cosine similarity by the frozen encoder from which the most similar definition is taken.
SIMILAR = 0.3
# What runs differ in. One that the file of results has is not repeated.
KEY = ["data", "definitions", "labels", "seed", "repeats", "method"]


@dataclass(frozen=True)
class Task:
    """What a method gets: labelled paragraphs, others without labels, and texts to answer."""

    labelled: pd.DataFrame
    pool: pd.DataFrame
    tests: pd.DataFrame
    topics: Topics
    params: Params
    seed: int
    repeats: int


def folds_of(task: Task) -> pd.DataFrame:
    """Folds of the labelled paragraphs, which may be too few to hold any out."""
    if not task.repeats:
        return no_folds(task.labelled, "it was not asked for").table
    try:
        n_folds = task.params.split.n_folds
        return make_folds(task.labelled, n_folds, task.repeats, None, task.seed).table
    except TooFewLabels as error:
        return no_folds(task.labelled, str(error)).table


def product(room: ModuleType, section: str, **changes: Any) -> Callable[[Task], pd.DataFrame]:
    """One of the project's models, from folds to what `predict` answers."""

    def run(task: Task) -> pd.DataFrame:
        params, topics = task.params, task.topics
        settings = replace(params.section(section), **changes)
        fit = trained(room, settings)(topics)
        folds = folds_of(task)
        of_pool = ["article", "text"]
        texts = task.pool.head(getattr(settings, "unlabelled", 0))
        pool: Pool | None = Pool(task.labelled[of_pool], texts[of_pool])
        targets = targets_of(task.labelled["topic"], topics.names)
        if topics_are_rare(targets, topics):  # as in `training.crossval`
            pool = None
        data = Labelled(task.labelled, topics, folds, pool)
        _, calibration = calibrated(data, cross_validate(data, fit, task.seed).scores, params)
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "model"
            fit_all(data, fit, task.seed).save(folder, calibration)
            answers = load(folder).predict(list(task.tests["text"]))
        frame = pd.DataFrame({"answer": [answer.topic or "" for answer in answers]})
        if task.repeats:  # otherwise probabilities are not calibrated
            frame["any"] = [sum(answer.scores.values()) for answer in answers]
            frame["sure"] = [answer.sure for answer in answers]
        return frame

    return run


def plain(recipe: Callable[[Task, Any], Any]) -> Callable[[Task], pd.DataFrame]:
    """One of the plainest recipes; where all labels are one, so are the answers."""

    def run(task: Task) -> pd.DataFrame:
        labels = list(task.labelled["label"])
        one = [labels[0]] * len(task.tests) if labels else [""] * len(task.tests)
        return pd.DataFrame({"answer": recipe(task, labels) if len(set(labels)) > 1 else one})

    return run


def frozen(task: Task, labels: Sequence[str]) -> Any:
    """scikit-learn's logistic regression with balanced classes on the frozen encoder."""
    texts, tests = list(task.labelled["text"]), list(task.tests["text"])
    return recipes.on_embeddings(texts, labels, tests, task.params)


def nearest(task: Task) -> pd.DataFrame:
    """The topic whose definition, or else name, is most similar; none below `SIMILAR`."""
    book, tests = task.topics.descriptions or task.topics.names, list(task.tests["text"])
    known = embeddings([*book, *tests], task.params, None)
    similar = np.array([known[t] for t in tests]) @ np.array([known[d] for d in book]).T
    names = np.array(task.topics.names, dtype=object)[similar.argmax(axis=1)]
    return pd.DataFrame({"answer": np.where(similar.max(axis=1) >= SIMILAR, names, "")})


def tuned(task: Task, labels: Sequence[str]) -> Any:
    """Plain fine-tuning with cross-entropy."""
    texts, tests = list(task.labelled["text"]), list(task.tests["text"])
    return recipes.fine_tuned(texts, labels, tests, task.params, task.seed)


def tfidf(task: Task, labels: Sequence[str]) -> Any:
    """scikit-learn's logistic regression with balanced classes on TF-IDF."""
    return recipes.tfidf(list(task.labelled["text"]), labels, list(task.tests["text"]))


METHODS: dict[str, Callable[[Task], pd.DataFrame]] = {
    "nearest": nearest,
    "frozen": plain(frozen),
    "fine-tuned": plain(tuned),
    "scikit-learn": plain(tfidf),
    "baseline": product(baseline, "baseline"),
    "untuned": product(transformer, "transformer", epochs=0),
    "paratopic": product(transformer, "transformer"),
}


def draw(
    rows: pd.DataFrame, n: int, seed: int, unlabelled: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Labelled rows, rows without their labels, and rows to test on; whole articles in each."""
    rng = np.random.default_rng([seed, n])
    articles = rng.permutation(rows["article"].unique())
    rank = pd.Series(np.arange(len(articles)), index=articles)
    shuffled = rows.iloc[rng.permutation(len(rows))]
    shuffled = shuffled.iloc[np.argsort(rank[shuffled["article"]].to_numpy(), kind="stable")]
    labelled, rest = shuffled[:n], shuffled[n:]
    rest = rest[~rest["article"].isin(labelled["article"])]
    n_tests = min(TESTS, len(rest) // 2)
    tests, others = rest[:n_tests], rest[n_tests:]
    pool = others[~others["article"].isin(tests["article"])][:unlabelled]
    return labelled.sort_values("id", ignore_index=True), pool, tests


def figures(answers: pd.DataFrame, truth: npt.NDArray[Any]) -> dict[str, float]:
    """How good answers are, by the true labels, "" for none."""
    answer = answers["answer"].to_numpy()
    line = {
        "macro_f1": f1_score(truth, answer, average="macro", labels=sorted(set(truth))),
        "f1_none": f1_score(truth == "", answer == ""),
        "accuracy": accuracy_score(truth, answer),
        "coverage": (answer != "").mean(),
        "true_coverage": (truth != "").mean(),
    }
    if "any" in answers:
        sure = answers["sure"].to_numpy(dtype=bool)
        line |= {"any": answers["any"].mean(), "sure": sure.mean()}
        if sure.any():
            line["sure_right"] = (answer == truth)[sure].mean()
    return {name: float(value) for name, value in line.items()}


def lines_of(runs: pd.DataFrame) -> list[dict[str, object]]:
    """A line for each table and number of labels: means over draws, by method."""
    methods = [name for name in METHODS if name in set(runs["method"])]
    lines = []
    for (data, definitions, labels), part in runs.groupby(KEY[:3], sort=False):
        wide = part.pivot(index="seed", columns="method", values="macro_f1")
        mean = part.groupby("method")[["macro_f1", "accuracy", "coverage"]].mean()
        line: dict[str, object] = {"table": data}
        line["labels"] = f"{labels}, definitions" if definitions else labels
        line |= {"draws": len(wide), "with a topic": f"{part['true_coverage'].mean():.2f}"}
        for name in methods:
            values = mean[mean.index == name].to_numpy().ravel()  # none if it was not run
            line[name] = ", ".join(f"{x:.{n}f}" for x, n in zip(values, (3, 3, 2), strict=False))
        wide = wide.reindex(columns=["paratopic", "frozen"])
        line["lead, points"] = with_error(100 * (wide["paratopic"] - wide["frozen"]))
        lines.append(line)
    return lines


def run(
    table: Table, rows: pd.DataFrame, n: int, seed: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Lines of the results of one draw, for the methods that have none yet."""
    labelled, pool, tests = draw(rows, n, seed, options.unlabelled)
    names = sorted(set(rows["label"]) - {""})
    definitions = codebook(table.name, names) if options.definitions else {}
    topics = Topics("single", tuple(Topic(name, definitions.get(name, "")) for name in names))
    task = Task(labelled, pool, tests, topics, Project().params, seed, options.repeats)
    lines = []
    for method in options.methods:
        key = (table.name, options.definitions, n, seed, options.repeats, method)
        if key in options.have:
            continue
        started = time.perf_counter()
        answers = METHODS[method](task)
        line: dict[str, Any] = dict(zip(KEY, key, strict=True))
        line |= figures(answers, tests["label"].to_numpy())
        line["seconds"] = time.perf_counter() - started
        print(*(f"{name}={value}" for name, value in line.items()), flush=True)
        lines.append(line)
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of the draws asked for; write every run."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--labels", type=int, nargs="+", default=[40, 100, 300])
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["frozen", "paratopic"])
    parser.add_argument("--unlabelled", type=int, default=1000)
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        help="of cross-validation; few labels usually get 3. 0 spares it: answers are as good, "
        "but their probabilities are not measured",
    )
    parser.add_argument("--definitions", action="store_true", help="topics have their definitions")
    options = parser.parse_args(arguments)

    options.have = done(options, KEY)
    tables = [read(pattern) for pattern in options.data]
    populations = [without(population(table), options.none) for table in tables]
    seeds = range(options.first_seed, options.first_seed + options.draws)
    for seed in seeds:
        for n in options.labels:
            for table, rows in zip(tables, populations, strict=True):
                save(options.results, run(table, rows, n, seed, options), KEY, __file__)
    runs = only(
        pd.DataFrame(saved(options.results)),
        data=[table.name for table in tables],
        definitions=[options.definitions],
        labels=options.labels,
        seed=seeds,
        repeats=[options.repeats],
        method=options.methods,
    )
    print(markdown(lines_of(runs)))


if __name__ == "__main__":
    main()
