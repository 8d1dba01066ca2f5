"""How far few labels go: the models, and plain recipes and SetFit beside them.

Draws some rows of each class, trains every model on the same rows, and tests on others, twice: in
their natural shares, and with at most `--test-rows` rows of each class. With `--new-topic` one
class, another one with each seed, has a definition and no labels. A run that the file of results
already has is not repeated.

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

import numpy as np
import numpy.typing as npt
import pandas as pd
import recipes
from record import done, only, parser_of, save, saved
from sklearn.metrics import accuracy_score, f1_score
from tables import Draw, Table, draw, markdown, read, with_error

from paratopic.baseline import fit as baseline
from paratopic.inference.modes import class_numbers, one_hot
from paratopic.project.folder import Project
from paratopic.project.languages import choose_encoder
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer
from paratopic.transformer.encoder import resolve_encoder

CODEBOOKS = Path("benchmarks/codebooks.json")


@dataclass(frozen=True)
class Task:
    """What a method gets: labelled texts to learn from, texts without labels, and texts to answer.

    The codebook has definitions or names alone.
    """

    examples: Examples
    pool: list[str]
    tests: list[str]
    topics: Topics
    params: Params
    seed: int
    minutes: float
    kept: Path | None


@dataclass(frozen=True)
class Answer:
    """Predicted class numbers, seconds of training, and the share of the training that was done."""

    predicted: npt.NDArray[np.int64]
    seconds: float
    done: float = 1.0


def tfidf(task: Task) -> Answer:
    """The project's baseline."""
    started = time.perf_counter()
    model = baseline.fit(task.examples, task.topics, task.params.section("baseline"), task.seed)
    seconds = time.perf_counter() - started
    return Answer(model.predict_proba(numbered(task.tests)).argmax(axis=1), seconds)


def encoder(task: Task, epochs: int | None = None, pool: bool = False) -> Answer:
    """The project's transformer; with 0 epochs its frozen encoder with the same head."""
    params = task.params.section("transformer")
    if epochs is not None:
        params = replace(params, epochs=epochs)
    examples = replace(task.examples, unlabelled=task.pool if pool else ())
    started = time.perf_counter()
    model = transformer.fit(examples, task.topics, params, task.seed)
    seconds = time.perf_counter() - started
    return Answer(model.predict_proba(numbered(task.tests)).argmax(axis=1), seconds)


def regression(task: Task) -> Answer:
    """scikit-learn's logistic regression with balanced classes on the frozen encoder."""

    def recipe(texts: list[str], labels: list[str], tests: list[str]) -> Any:
        return recipes.on_embeddings(texts, labels, tests, task.params, task.kept)

    return _plainly(task, recipe)


def scikit_learn(task: Task) -> Answer:
    """The same regression on TF-IDF."""
    return _plainly(task, recipes.tfidf)


def fine_tuned(task: Task) -> Answer:
    """Plain fine-tuning with cross-entropy."""

    def recipe(texts: list[str], labels: list[str], tests: list[str]) -> Any:
        return recipes.fine_tuned(texts, labels, tests, task.params, task.seed)

    return _plainly(task, recipe)


def _plainly(task: Task, recipe: Callable[[list[str], list[str], list[str]], Any]) -> Answer:
    """A plain recipe's answers, with definitions as one more example of each class."""
    started = time.perf_counter()
    texts, labels = task.examples.texts.plain, class_numbers(task.examples.targets).tolist()
    texts += task.topics.descriptions
    labels += range(len(task.topics.descriptions))
    predicted = np.asarray(recipe(texts, list(map(str, labels)), task.tests))
    return Answer(predicted.astype(np.int64), time.perf_counter() - started)


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

    class Clock(TrainerCallback):  # type: ignore[misc]  # its types are not read
        started, steps, planned = 0.0, 0, 1

        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.planned = state.max_steps

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.steps = state.global_step
            if time.perf_counter() - self.started > 60 * minutes:
                control.should_training_stop = True

    torch.use_deterministic_algorithms(False)
    wish = Project().params.section("transformer").encoder
    place = resolve_encoder(choose_encoder(wish, texts)[0])
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
    """SetFit with its defaults and the same encoder, cut off after `--minutes`.

    Where there are definitions, they are examples too, as many as SetFit's documentation takes.
    """
    texts, labels = task.examples.texts.plain, class_numbers(task.examples.targets).tolist()
    if task.topics.descriptions:
        from setfit import get_templated_dataset

        templated = get_templated_dataset(
            candidate_labels=list(task.topics.descriptions),
            template="{}",
            sample_size=2 if texts else 8,
        )
        texts += templated["text"]
        labels += templated["label"]
    model, seconds, done = train_setfit(texts, labels, task.seed, task.minutes)
    predicted = model.predict(task.tests, use_labels=False, show_progress_bar=False)
    return Answer(np.asarray(predicted, dtype=np.int64), seconds, done)


METHODS: dict[str, Callable[[Task], Answer]] = {
    "scikit-learn": scikit_learn,
    "regression": regression,
    "fine-tuned": fine_tuned,
    "tfidf": tfidf,
    "frozen": lambda task: encoder(task, 0),
    "paratopic": encoder,
    "pool": lambda task: encoder(task, pool=True),
    "setfit": setfit,
}


def run(table: Table, drawn: Draw, seed: int, method: str, options: argparse.Namespace) -> Any:
    """One line of the results."""
    names = table.labels
    definitions = codebook(table.name, table.labels) if options.definitions else {}
    topics = Topics("single", tuple(Topic(name, definitions.get(name, "")) for name in names))
    number = {name: n for n, name in enumerate(names)}
    new = names[seed % len(names)] if options.new_topic else None
    labelled = drawn.train[drawn.train["label"] != new]
    train = one_hot(np.array([number[label] for label in labelled["label"]]), len(names))
    groups = pd.factorize(labelled["group"])[0].astype(np.int64)
    examples = Examples(numbered(labelled["text"]), train, groups, groups)
    tests = {"": drawn.natural, "capped_": drawn.capped}
    texts = [text for rows in tests.values() for text in rows["text"]]
    kept = options.keep and options.keep / f"{table.name}.npz"
    task = Task(
        examples,
        list(drawn.pool["text"]),
        texts,
        topics,
        Project().params,
        seed,
        options.minutes,
        kept,
    )
    answer = METHODS[method](task)
    line: dict[str, float] = {}
    answered = 0
    for name, rows in tests.items():
        true = rows["label"].map(number).to_numpy()
        predicted = answer.predicted[answered : answered + len(rows)]
        answered += len(rows)
        line[f"{name}macro_f1"] = float(f1_score(true, predicted, average="macro"))
        line[f"{name}accuracy"] = float(accuracy_score(true, predicted))
        if new is not None:
            of_new = f1_score(true == number[new], predicted == number[new])
            line[f"{name}new_topic_f1"] = float(of_new)
        line[f"{name}n_test"] = len(rows)
    return line | {"seconds": answer.seconds, "done": answer.done, "n_train": len(train)}


def codebook(name: str, labels: Sequence[str] = ()) -> dict[str, str]:
    """Definitions of a table's classes, from the documentation of where it is from."""
    books: dict[str, dict[str, str]] = json.loads(CODEBOOKS.read_text(encoding="utf-8"))
    # The longest name of a book that a table's begins with.
    of_table = [
        books[stem] for stem in sorted(books, key=len, reverse=True) if name.startswith(stem)
    ]
    if not of_table or set(labels) - set(of_table[0]):
        raise SystemExit(f"{CODEBOOKS}: no definitions of the classes of {name}")
    return of_table[0]


# What runs differ in. One that the file of results has is not repeated.
KEY = ["data", "test_rows", "definitions", "new_topic", "shots", "unlabelled", "seed", "method"]
# The runs of one line of a table.
LINE = ["data", "definitions", "new_topic", "shots"]
# Tests of which macro-F1 is shown: in natural shares, and with classes capped.
TESTS = {"macro_f1": "natural shares", "capped_macro_f1": "classes capped"}


def asked_for(
    runs: pd.DataFrame, tables: Sequence[Table], options: argparse.Namespace
) -> pd.DataFrame:
    """The runs that the options name, with those seeds alone that each method of a line has."""
    kept = only(
        runs,
        data=[table.name for table in tables] or list(runs["data"]),
        test_rows=[options.test_rows],
        definitions=[options.definitions],
        new_topic=[options.new_topic],
        shots=options.shots,
        unlabelled=[0, options.unlabelled],
        seed=range(options.first_seed, options.first_seed + options.seeds),
        method=[*options.methods, *options.against],
    )
    of_line = kept.groupby(LINE)["method"].transform("nunique")
    of_seed = kept.groupby([*LINE, "seed"])["method"].transform("nunique")
    return kept[of_seed == of_line]


def lines_of(runs: pd.DataFrame, figure: str) -> list[dict[str, object]]:
    """A figure of each method: its mean ± standard error, and seconds of training."""
    methods = [name for name in METHODS if name in set(runs["method"])]
    lines = []
    for key, part in runs.groupby(LINE, sort=False):
        line = _about(f"macro-F1, {TESTS[figure]}", key) | {"seeds": part["seed"].nunique()}
        for method in methods:
            here = part[part["method"] == method]
            cut_off, seconds = here["done"].mean() < 1, here["seconds"].mean()
            more = f", cut off at {here['done'].mean():.0%} of its steps" if cut_off else ""
            cell = f"{with_error(here[figure], 3, '')} ({seconds:.0f} s{more})"
            line[method] = cell if len(here) else ""
        lines.append(line)
    return lines


def differences(runs: pd.DataFrame, first: str, second: str) -> list[dict[str, object]]:
    """One method's lead over another on the same draws, in points of macro-F1."""
    lines = []
    for key, part in runs.groupby(LINE, sort=False):
        wide = part.pivot(index="seed", columns="method", values=list(TESTS))
        if {first, second} <= set(part["method"]):
            line = _about(f"{first} − {second}, points", key) | {"draws": len(wide)}
            for name, title in TESTS.items():
                line[title] = with_error(100 * (wide[name][first] - wide[name][second]))
            lines.append(line)
    return lines


def _about(title: str, key: tuple[Any, ...]) -> dict[str, object]:
    """The first cells of a line, from the values of `LINE`."""
    data, definitions, new_topic, shots = key
    known = "yes, one topic without labels" if new_topic else "yes" if definitions else "no"
    return {title: data, "definitions": known, "a class": shots}


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="*", default=[], help="parquet files; a glob is one table")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--shots", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="*", default=["tfidf", "frozen", "paratopic"])
    parser.add_argument("--against", nargs="*", default=[], choices=["setfit"])
    parser.add_argument("--test-rows", type=int, default=250, help="at most, of each class")
    parser.add_argument("--minutes", type=float, default=30, help="after which SetFit is cut off")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--definitions", action="store_true", help="every method knows the classes' definitions"
    )
    parser.add_argument(
        "--new-topic",
        action="store_true",
        help="one class has a definition and no labels, another one with each seed",
    )
    parser.add_argument(
        "--unlabelled", type=int, default=0, help="rows to learn from without labels"
    )
    parser.add_argument("--keep", type=Path, help="folder that keeps embeddings for later runs")
    return parser.parse_args()


def main() -> None:
    """Print tables of the draws asked for; write every run."""
    arguments = options()
    arguments.definitions |= arguments.new_topic

    have = done(arguments, KEY)
    tables = [read(pattern, arguments.leave_out) for pattern in arguments.data]
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for shots in arguments.shots:
            for table in tables:
                drawn = draw(table, shots, seed, arguments.test_rows, arguments.unlabelled)
                for method in (*arguments.methods, *arguments.against):
                    n_pool = arguments.unlabelled if method == "pool" else 0
                    knows = (arguments.definitions, arguments.new_topic)
                    key = (table.name, arguments.test_rows, *knows, shots, n_pool, seed, method)
                    if key in have:
                        continue
                    line = dict(zip(KEY, key, strict=True))
                    line |= run(table, drawn, seed, method, arguments)
                    print(*(f"{name}={value}" for name, value in line.items()), flush=True)
                    save(arguments.results, [line], KEY, __file__)
    runs = asked_for(pd.DataFrame(saved(arguments.results)), tables, arguments)
    for figure in TESTS:
        print(markdown(lines_of(runs, figure)) + "\n")
    for first, second in (("paratopic", "setfit"), ("pool", "setfit"), ("pool", "paratopic")):
        if lines := differences(runs, first, second):
            print(markdown(lines) + "\n")


if __name__ == "__main__":
    main()
