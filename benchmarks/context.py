"""What is gained by reading what stands around a text.

Draws labels at random from a labelled table whose rows have neighbours, fits the project's models
with and without what stands around the rows, and answers rows of other documents. Both models of a
draw learn from the same rows and answer the same rows. Nothing is tuned here. With `--definitions`
the models know the classes' definitions, and 0 labels are enough.

    python benchmarks/context.py --data TABLE.parquet
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from few_shot import codebook, train_setfit
from record import done, only, parser_of, save, saved
from sklearn.metrics import f1_score
from tables import markdown, with_error

from paratopic.baseline import fit as baseline
from paratopic.corpus.table import passages_for
from paratopic.inference.modes import one_hot
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.passages import Passage
from paratopic.project.texts import numbered, plain_texts
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples, Fitted
from paratopic.transformer import fit as transformer

# Share of the documents to learn from, and number of rows of the others to test on, at most.
TO_LEARN, TESTS = 0.6, 1500
# Characters of each neighbour in the strings that SetFit reads.
NEAR_CHARACTERS = 200
# What runs differ in. One that the file of results has is not repeated.
KEY = ["data", "label", "definitions", "split", "neighbours", "labels", "seed", "method"]


def read_rows(path: Path, label: str, neighbours: str) -> pd.DataFrame:
    """Columns text, label, group and passage of a table.

    Parameters
    ----------
    path
        A parquet file with text, group if there are documents, text_preceding and text_following if
        texts have neighbours.
    label
        Name of the column with the classes.
    neighbours
        ``own``, or ``false``: rows of the table in random order, which stand in for documents of 50
        rows each.
    """
    table = pd.read_parquet(path).reset_index(drop=True)
    n = len(table)
    if neighbours == "false":
        table = table.sample(frac=1, random_state=0, ignore_index=True)
        table["group"] = np.arange(n) // 50
    blank = pd.Series("", index=table.index)
    frame = pd.DataFrame(
        {
            "id": np.arange(n).astype(str),
            "article": table["group"].astype(str) if "group" in table else np.arange(n).astype(str),
            "title": "",
            "heading": "",
            "position": np.arange(n),
            "ordered": neighbours == "false",
            "text": table["text"],
            "before": blank if neighbours == "false" else table.get("text_preceding", blank),
            "after": blank if neighbours == "false" else table.get("text_following", blank),
        }
    )
    return pd.DataFrame(
        {
            "text": table["text"],
            "label": table[label].astype(str),
            "group": frame["article"],
            "passage": passages_for(frame, frame["id"]),
        }
    )


def draw(rows: pd.DataFrame, n: int, seed: int, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with n labels at random, and rows to test on: of other documents, or any others."""
    rng = np.random.default_rng([seed, n])
    if split == "random":
        order = rng.permutation(len(rows))
        return rows.iloc[order[:n]], rows.iloc[order[n : n + TESTS]]
    groups = rng.permutation(rows["group"].unique())
    to_learn = rows["group"].isin(groups[: round(TO_LEARN * len(groups))])
    known, rest = rows[to_learn], rows[~to_learn]
    order = rng.permutation(rest["group"].unique())
    sizes = rest["group"].value_counts()[order].cumsum()
    whole = rest[rest["group"].isin(sizes.index[sizes <= TESTS])]
    tests = whole if len(whole) else rest.iloc[rng.permutation(len(rest))[:TESTS]]
    return known.iloc[rng.permutation(len(known))[:n]], tests


@dataclass(frozen=True)
class Task:
    """Rows to learn from and to answer, and the classes' definitions, if methods may know them."""

    train: pd.DataFrame
    tests: pd.DataFrame
    definitions: dict[str, str]
    params: Params
    seed: int
    minutes: float


# Learns and answers: a line of the results.
Method = Callable[[Task], dict[str, Any]]


def project(kind: str, in_context: bool) -> Method:
    """One of the project's models, with what stands around the rows or without."""

    def run(task: Task) -> dict[str, Any]:
        train, tests = task.train, task.tests
        names = sorted(task.definitions or set(train["label"]))
        number = {name: place for place, name in enumerate(names)}
        described = (task.definitions.get(name, "") for name in names)
        of_class = (Topic(f"class_{place}", text) for place, text in enumerate(described))
        topics = Topics("single", tuple(of_class))
        groups = pd.factorize(train["group"])[0].astype(np.int64)
        column = "passage" if in_context else "text"
        targets = one_hot(train["label"].map(number).to_numpy(dtype=np.int64), len(names))
        examples = Examples(numbered(train[column]), targets, groups, groups)
        started = time.perf_counter()
        section = task.params.section("baseline" if kind == "tfidf" else "transformer")
        if kind == "frozen":
            section = replace(section, epochs=0)
        room = baseline if kind == "tfidf" else transformer
        model: Fitted = room.fit(examples, topics, section, task.seed)
        seconds = time.perf_counter() - started

        def score(texts: list[Any]) -> float:
            answers = np.array(names)[model.predict_proba(numbered(texts)).argmax(axis=1)]
            return float(f1_score(tests["label"], answers, average="macro"))

        line = {"macro_f1": score(list(tests[column])), "seconds": seconds}
        return line | ({"alone": score(plain_texts(tests["passage"]))} if in_context else {})

    return run


def joined(passage: Passage) -> str:
    """A text between the ends of its neighbours, as one string."""
    before = passage.before[-1][-NEAR_CHARACTERS:] if passage.before else ""
    after = passage.after[0][:NEAR_CHARACTERS] if passage.after else ""
    return " ".join(filter(None, (before, passage.text, after)))


def setfit(in_context: bool) -> Method:
    """SetFit with its defaults and the same encoder, on the texts or on joined strings."""

    def run(task: Task) -> dict[str, Any]:
        train, tests = task.train, task.tests
        names = sorted(set(train["label"]))
        labels = train["label"].map(names.index).tolist()
        to_learn, to_answer = (
            list(map(joined, part["passage"])) if in_context else list(part["text"])
            for part in (train, tests)
        )
        model, seconds, share = train_setfit(to_learn, labels, task.seed, task.minutes)
        numbers = model.predict(to_answer, use_labels=False, show_progress_bar=False)
        answers = np.array(names)[np.asarray(numbers, dtype=np.int64)]
        f1 = f1_score(tests["label"], answers, average="macro")
        return {"macro_f1": float(f1), "seconds": seconds, "done": share}

    return run


METHODS = {
    **{kind: project(kind, False) for kind in ("tfidf", "frozen", "paratopic")},
    **{f"{kind} in context": project(kind, True) for kind in ("tfidf", "frozen", "paratopic")},
    "setfit": setfit(False),
    "setfit joined": setfit(True),
}


def lines_of(runs: pd.DataFrame) -> list[dict[str, object]]:
    """A line for each number of labels: means with standard errors, and the paired gain."""
    methods = [name for name in METHODS if name in set(runs["method"])]
    lines = []
    for key, part in runs.groupby(KEY[:-2], sort=False):
        data, label, defined, split, near, labels = key
        wide = part.pivot(index="seed", columns="method", values="macro_f1")
        about = f"{data}, {label}, by {split}" + (", false neighbours" if near == "false" else "")
        line: dict[str, object] = {"data": about + ", definitions" * bool(defined)}
        line |= {"labels": labels, "draws": len(wide)}
        for name in methods:
            seconds = part["seconds"][part["method"] == name].mean()
            line[name] = f"{with_error(wide[name], 3, '')} ({seconds:.0f} s)"
        for kind in methods:
            if (near := f"{kind} in context") in methods:
                line[f"{kind}: gain, points"] = with_error(100 * (wide[near] - wide[kind]))
        lines.append(line)
    return lines


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", type=Path, required=True, help="a parquet file")
    parser.add_argument("--label", default="label", help="column with the classes")
    parser.add_argument(
        "--definitions", action="store_true", help="defined classes alone, whose definitions help"
    )
    parser.add_argument("--split", choices=["document", "random"], default="document")
    parser.add_argument("--neighbours", choices=["own", "false"], default="own")
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 300, 1000, 3000])
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=["paratopic", "paratopic in context"]
    )
    parser.add_argument("--minutes", type=float, default=30, help="after which SetFit is cut off")
    return parser.parse_args()


def main() -> None:
    """Print a table of the draws asked for; write every run."""
    arguments = options()
    have = done(arguments, KEY)
    rows = read_rows(arguments.data, arguments.label, arguments.neighbours)
    params = Project().params
    definitions = codebook(arguments.data.stem) if arguments.definitions else {}
    if definitions:
        rows = rows[rows["label"].isin(definitions)]
    about = (
        arguments.data.stem,
        arguments.label,
        arguments.definitions,
        arguments.split,
        arguments.neighbours,
    )
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.draws)
    for seed in seeds:
        for labels in arguments.labels:
            train, tests = draw(rows, labels, seed, arguments.split)
            for method in arguments.methods:
                key = (*about, labels, seed, method)
                if key in have:
                    continue
                line = dict(zip(KEY, key, strict=True))
                task = Task(train, tests, definitions, params, seed, arguments.minutes)
                line |= METHODS[method](task)
                print(*(f"{name}={value}" for name, value in line.items()), flush=True)
                save(arguments.results, [line], KEY, __file__)
    wanted: dict[str, Any] = {k: [value] for k, value in zip(KEY, about, strict=False)}
    wanted |= {"labels": arguments.labels, "seed": seeds, "method": arguments.methods}
    print(markdown(lines_of(only(pd.DataFrame(saved(arguments.results)), **wanted))))


if __name__ == "__main__":
    main()
