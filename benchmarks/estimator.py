"""The estimator beside plain recipes and SetFit, on few labels in their natural shares.

Draws whole articles, with topics as frequent as in the table, rows without their labels, and rows
of other articles to answer. `paratopic` is `TopicClassifier()` with definitions and with the rows
without labels as its pool; `words` has labels alone; `not calibrated` is `paratopic` without folds;
`numbers` has neither names, definitions nor a pool, and is not calibrated. A cell that the file of
results already has is not repeated.

    python benchmarks/estimator.py --data BILLS SPEECHES --none other --labels 60 300 --draws 4
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import recipes
from answers import draw
from few_shot import codebook, train_setfit
from record import done, only, parser_of, save, saved
from simulation import embeddings, population, without
from sklearn.metrics import f1_score
from tables import Table, markdown, read, with_error

from paratopic.inference.modes import log_losses
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.sklearn import TopicClassifier

KEY = ["data", "labels", "seed", "method"]
SHOWN = {
    "table, labels": "{data}, {labels}",
    "method": "{method}",
    "draws": "{draws}",
    "macro-F1": "{macro_f1}",
    "log loss": "{log_loss}",
    "lead of paratopic, points": "{lead}",
    "seconds": "{seconds:.0f}",
}


@dataclass(frozen=True)
class Task:
    """Labelled rows, rows without their labels, rows to answer, and the topics' definitions."""

    labelled: pd.DataFrame
    pool: pd.DataFrame
    tests: pd.DataFrame
    definitions: dict[str, str]
    params: Params
    seed: int
    minutes: float


@dataclass(frozen=True)
class Answer:
    """Answers (n,), probabilities (n, k), and the classes of their columns; "" stands for none."""

    answers: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]
    classes: Sequence[str]


def estimator(task: Task, calibrate: bool = True, knows: str = "all") -> Answer:
    """`TopicClassifier`, which knows definitions and a pool, or the labels, or numbers for them."""
    names = [*task.definitions, ""]
    label: list[Any] = list(range(len(names))) if knows == "numbers" else names
    model = TopicClassifier(
        definitions=task.definitions if knows == "all" else None,
        none=label[-1],
        calibrate=calibrate,
        settings=asdict(task.params.section("transformer")),
        random_state=task.seed,
    )
    of_name, name_of = dict(zip(names, label, strict=True)), dict(zip(label, names, strict=True))
    labels = [of_name[name] for name in task.labelled["label"]]
    pool = task.pool["text"] if knows == "all" else None
    model.fit(task.labelled["text"], labels, groups=task.labelled["article"], pool=pool)
    tests = list(task.tests["text"])
    answers = np.array([name_of[each] for each in model.predict(tests).tolist()], dtype=object)
    classes = [name_of[each] for each in model.classes_.tolist()]
    return Answer(answers, model.predict_proba(tests), classes)


def frozen(task: Task) -> Answer:
    """scikit-learn's logistic regression with balanced classes on the frozen encoder."""
    texts, tests = list(task.labelled["text"]), list(task.tests["text"])
    known = embeddings([*texts, *tests], task.params, None)
    to_learn, to_answer = (np.array([known[text] for text in part]) for part in (texts, tests))
    model = recipes.regression().fit(to_learn, list(task.labelled["label"]))
    return Answer(model.predict(to_answer), model.predict_proba(to_answer), list(model.classes_))


def tfidf(task: Task) -> Answer:
    """The same regression on TF-IDF."""
    tests = list(task.tests["text"])
    model = recipes.on_words().fit(list(task.labelled["text"]), list(task.labelled["label"]))
    return Answer(model.predict(tests), model.predict_proba(tests), list(model.classes_))


def setfit(task: Task) -> Answer:
    """SetFit with its defaults and the same encoder; it reads no definitions here."""
    names, numbers = np.unique(task.labelled["label"], return_inverse=True)
    texts, tests = list(task.labelled["text"]), list(task.tests["text"])
    model, _, _ = train_setfit(texts, numbers.tolist(), task.seed, task.minutes)
    known = np.asarray(model.predict_proba(tests, as_numpy=True, show_progress_bar=False))
    return Answer(names[known.argmax(axis=1)], known, names.tolist())


METHODS: dict[str, Callable[[Task], Answer]] = {
    "paratopic": estimator,
    "words": lambda task: estimator(task, knows="words"),
    "not calibrated": lambda task: estimator(task, calibrate=False),
    "numbers": lambda task: estimator(task, calibrate=False, knows="numbers"),
    "frozen": frozen,
    "setfit": setfit,
    "scikit-learn": tfidf,
}


def figures(answer: Answer, truth: npt.NDArray[Any]) -> dict[str, float]:
    """How good answers and probabilities are, by the true labels; none is one of them.

    A class that a method has never seen has probability 0, which the log loss bounds.
    """
    classes = sorted({*answer.classes, *truth})
    known = pd.DataFrame(answer.probabilities, columns=list(answer.classes))
    known = known.reindex(columns=classes, fill_value=0.0)
    losses = log_losses(pd.Index(classes).get_indexer(pd.Index(truth)), known.to_numpy())
    macro_f1 = f1_score(truth, answer.answers, average="macro", labels=sorted(set(truth)))
    return {"macro_f1": float(macro_f1), "log_loss": float(losses.mean())}


def run(table: Table, rows: pd.DataFrame, n: int, seed: int, options: argparse.Namespace) -> None:
    """Measure the methods that have no cell of a draw yet, and save each at once."""
    labelled, pool, tests = draw(rows, n, seed, options.unlabelled)
    names = sorted(set(rows["label"]) - {""})
    book, params = codebook(table.name, names), Project().params
    definitions = {name: book[name] for name in names}
    task = Task(labelled, pool, tests, definitions, params, seed, options.minutes)
    for method in options.methods:
        key = (table.name, n, seed, method)
        if key in options.have:
            continue
        started = time.perf_counter()
        answer = METHODS[method](task)
        line: dict[str, Any] = dict(zip(KEY, key, strict=True))
        line["seconds"] = time.perf_counter() - started
        line |= figures(answer, tests["label"].to_numpy())
        print(*(f"{name}={value}" for name, value in line.items()), flush=True)
        save(options.results, [line], KEY, __file__)


def lines_of(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """A line for each table, number of labels and method: means over draws."""
    lines = []
    for (data, labels), part in runs.groupby(["data", "labels"], sort=False):
        wide = part.pivot(index="seed", columns="method", values="macro_f1")
        for method in filter(set(part["method"]).__contains__, METHODS):
            of = part[part["method"] == method]
            line: dict[str, Any] = {"data": data, "labels": labels, "method": method}
            line |= {"draws": len(of), "seconds": of["seconds"].mean()}
            line |= {key: with_error(of[key], 3, "") for key in ("macro_f1", "log_loss")}
            is_other = method != "paratopic" and "paratopic" in wide
            lead = with_error(100 * (wide["paratopic"] - wide[method])) if is_other else ""
            lines.append(line | {"lead": lead})
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of the draws asked for; write every run."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--labels", type=int, nargs="+", default=[60, 300])
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--unlabelled", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=30, help="after which SetFit is cut off")
    usual = [name for name in METHODS if name != "setfit" or find_spec("setfit")]
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=usual)
    options = parser.parse_args(arguments)

    options.have = done(options, KEY)
    tables = [read(pattern) for pattern in options.data]
    populations = [without(population(table), options.none) for table in tables]
    seeds = range(options.first_seed, options.first_seed + options.draws)
    for seed in seeds:
        for n in options.labels:
            for table, rows in zip(tables, populations, strict=True):
                run(table, rows, n, seed, options)
    wanted = {"data": [table.name for table in tables], "labels": options.labels, "seed": seeds}
    runs = only(pd.DataFrame(saved(options.results)), **wanted, method=options.methods)
    print(markdown(lines_of(runs), SHOWN))


if __name__ == "__main__":
    main()
