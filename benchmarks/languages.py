"""Models of texts in other languages: labels in the same language, in another, or none at all.

Draws labels from one table or several, tests on other rows of a table, and shows both to the
project's models and to the plainest recipes. Texts of the tested table without their labels are
there for models that read them. A run that the file of results already has is not repeated.

    python benchmarks/languages.py --data GERMAN FRENCH --shots 8 40 --draws 3
    python benchmarks/languages.py --data FRENCH --taught ENGLISH --labels 400 --draws 3
    python benchmarks/languages.py --data GERMAN --definitions English --methods nearest paratopic
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import recipes
from few_shot import codebook
from record import done, parser_of, save, saved
from simulation import embeddings
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from tables import Table, markdown, read, with_error

from paratopic.baseline import fit as baseline
from paratopic.corpus.table import targets_of
from paratopic.project.folder import Project
from paratopic.project.languages import choose_encoder
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer

TESTS, POOL = 400, 500
# Languages of the definitions → what the names of their codebooks end with.
BOOKS = {"no": "", "own": "", "English": ", English"}
KEY = ["data", "taught", "labels", "definitions", "seed", "method"]


@dataclass(frozen=True)
class Task:
    """Labelled texts, the topics, texts without labels, and texts to answer."""

    labelled: pd.DataFrame
    topics: Topics
    pool: list[str]
    tests: list[str]
    params: Params
    seed: int


def words(task: Task) -> Any:
    """scikit-learn's logistic regression with balanced classes on TF-IDF of words."""
    return recipes.tfidf(list(task.labelled["text"]), list(task.labelled["label"]), task.tests)


def characters(task: Task) -> Any:
    """The same on runs of 3 to 5 characters within words."""
    runs = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5))
    model = make_pipeline(runs, recipes.regression())
    return model.fit(task.labelled["text"], task.labelled["label"]).predict(task.tests)


def frozen(task: Task) -> Any:
    """The same regression on the frozen encoder."""
    texts, labels = list(task.labelled["text"]), list(task.labelled["label"])
    return recipes.on_embeddings(texts, labels, task.tests, task.params)


def fine_tuned(task: Task) -> Any:
    """Plain fine-tuning of the encoder with cross-entropy."""
    texts, labels = list(task.labelled["text"]), list(task.labelled["label"])
    return recipes.fine_tuned(texts, labels, task.tests, task.params, task.seed)


def nearest(task: Task) -> Any:
    """The topic whose definition is most similar by the frozen encoder."""
    book = task.topics.descriptions
    known = embeddings([*task.tests, *book], task.params, None)
    similar = np.array([known[t] for t in task.tests]) @ np.array([known[d] for d in book]).T
    return np.array(task.topics.names)[similar.argmax(axis=1)]


def model(fit: Callable[..., Any], section: str, **changes: Any) -> Callable[[Task], Any]:
    """One of the project's models; without labels, of definitions alone."""

    def run(task: Task) -> Any:
        rows, names = task.labelled, task.topics.names
        targets = targets_of(rows["label"].map(lambda label: (label,)), names)
        numbers = np.arange(len(rows))
        pool = task.pool if section == "transformer" else ()
        examples = Examples(numbered(rows["text"]), targets, numbers, numbers, unlabelled=pool)
        # The encoder is that for the texts of the project, as in stage prepare.
        texts = [*rows["text"], *task.pool]
        settings = replace(task.params.section(section), **changes)
        if section == "transformer":
            settings = replace(settings, encoder=choose_encoder(settings.encoder, texts)[0])
        fitted = fit(examples, task.topics, settings, task.seed)
        return np.array(names)[fitted.predict_proba(numbered(task.tests)).argmax(axis=1)]

    return run


METHODS: dict[str, Callable[[Task], Any]] = {
    "words": words,
    "characters": characters,
    "nearest": nearest,
    "frozen": frozen,
    "fine-tuned": fine_tuned,
    "baseline": model(baseline.fit, "baseline"),
    "untuned": model(transformer.fit, "transformer", epochs=0),
    "paratopic": model(transformer.fit, "transformer"),
}


def labels_of(rows: pd.DataFrame, shots: int | None, n: int, seed: int) -> pd.DataFrame:
    """So many rows of each class or, without `shots`, n rows at random."""
    shuffled = rows.sample(frac=1, random_state=seed)
    if shots is None:
        return shuffled[:n]
    return shuffled.groupby("label").head(shots)


def read_as(pattern: str, names: Mapping[str, str]) -> Table:
    """A table whose labels have other names; those without one are left out, if any has."""
    table = read(pattern)
    if not names.keys() & set(table.labels):
        return table
    rows = table.rows[table.rows["label"].isin(names)]
    rows = rows.assign(label=rows["label"].map(names)).reset_index(drop=True)
    return Table(f"{table.name}, {rows['label'].nunique()} classes", rows)


def task_of(
    data: Table, taught: Sequence[Table], size: tuple[int | None, int], seed: int, language: str
) -> Task:
    """Draw labels, of each teaching table the same number, and tests; none of them twice."""
    shots, n = size
    parts = []
    for table in taught:
        rows = table.rows[table.rows["label"].isin(data.labels)]
        parts.append(labels_of(rows, shots, n // len(taught), seed))
    labelled = pd.concat(parts)
    rest = data.rows[~data.rows["text"].isin(labelled["text"])].sample(frac=1, random_state=seed)
    names = sorted(data.labels)
    book = {} if language == "no" else codebook(f"{data.name}{BOOKS[language]}", names)
    topics = Topics("single", tuple(Topic(label, book.get(label, "")) for label in names))
    tests, pool = list(rest["text"][:TESTS]), list(rest["text"][TESTS:][:POOL])
    return Task(labelled, topics, pool, tests, Project().params, seed)


def lines_of(runs: pd.DataFrame) -> list[dict[str, object]]:
    """A line for each kind of run: mean macro-F1 by method, and the lead of the tuned model."""
    lines = []
    for key, part in runs.groupby(KEY[:4], sort=False):
        wide = part.pivot(index="seed", columns="method", values="macro_f1")
        line: dict[str, object] = dict(zip(KEY[:4], key, strict=True)) | {"draws": len(wide)}
        line |= {name: f"{wide[name].mean():.3f}" for name in METHODS if name in wide}
        if {"paratopic", "frozen"} <= {*wide}:
            line["lead, points"] = with_error(100 * (wide["paratopic"] - wide["frozen"]))
        lines.append(line)
    return lines


def main() -> None:
    """Print a table of the runs asked for; write every run."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--taught", nargs="+", help="files that labels are from; the same")
    parser.add_argument("--names", nargs="+", default=[], help="other names of labels: OLD=NEW")
    parser.add_argument("--shots", type=int, nargs="+", default=[], help="labels of each class")
    parser.add_argument("--labels", type=int, nargs="+", default=[], help="labels at random")
    parser.add_argument("--definitions", choices=BOOKS, default="no")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["frozen", "paratopic"])
    options = parser.parse_args()
    names = dict(pair.split("=") for pair in options.names)
    sizes = [(shots, 0) for shots in options.shots] + [(None, n) for n in options.labels]
    have, made = done(options, KEY), []
    for data in (read_as(pattern, names) for pattern in options.data):
        teaching = [read_as(pattern, names) for pattern in options.taught or []] or [data]
        taught = " + ".join(table.name for table in teaching)
        for shots, n in sizes or [(None, 0)]:
            for seed in range(options.draws):
                labels = f"{shots} each" if shots else f"{n} at random" if n else "none"
                task = task_of(data, teaching, (shots, n), seed, options.definitions)
                about = data.rows.set_index("text")["label"]
                truth: npt.NDArray[Any] = about[~about.index.duplicated()][task.tests].to_numpy()
                for method in options.methods:
                    key = (data.name, taught, labels, options.definitions, seed, method)
                    made.append(key)
                    if key in have:
                        continue
                    started = time.perf_counter()
                    answers = METHODS[method](task)
                    seconds = time.perf_counter() - started
                    figure = float(f1_score(truth, answers, average="macro"))
                    row = dict(zip(KEY, key, strict=True))
                    row |= {"macro_f1": figure, "seconds": seconds}
                    print(*row.values(), flush=True)
                    save(options.results, [row], KEY, __file__)
    runs = pd.DataFrame(saved(options.results))
    asked = pd.MultiIndex.from_tuples(made)
    print(markdown(lines_of(runs[pd.MultiIndex.from_frame(runs[KEY]).isin(asked)])))


if __name__ == "__main__":
    main()
