"""How well several topics a text are told: the models in mode multi, and plain recipes beside them.

Of a table with a column of several labels a row, the most frequent labels are the topics. Rows are
drawn at random until every topic has enough; every method learns from them and answers rows that
are left, no group being on both sides. The project's models go the whole way of the pipeline:
out-of-fold scores calibrate them and set the topics' thresholds. A run that the results' file
already has is not repeated.

    python benchmarks/multi_label.py --data TABLE.parquet --column subjects --shots 8 64 \
        --against setfit
"""

from __future__ import annotations

import ast
import copy
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import recipes
import torch
from few_shot import train_setfit
from record import done, only, parser_of, save, saved
from simulation import calibrated, embeddings
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from tables import markdown, with_error
from torch import nn
from transformers import get_linear_schedule_with_warmup

from paratopic.baseline import fit as baseline
from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import targets_of
from paratopic.inference.modes import mode_of
from paratopic.project.folder import Project
from paratopic.project.languages import choose_encoder
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.calibration import apply_calibration
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.training.examples import Examples, Fitted
from paratopic.transformer import fit as transformer
from paratopic.transformer.encoder import load_encoder

Targets = npt.NDArray[np.bool_]
KEY = ["data", "shots", "seed", "method"]
FIGURES = ("macro_f1", "micro_f1", "map")


@dataclass(frozen=True)
class Task:
    """Rows to learn from and to answer: text, topic (as in labels.csv), id and article."""

    train: pd.DataFrame
    test: pd.DataFrame
    topics: Topics
    seed: int
    minutes: float

    def targets(self, rows: pd.DataFrame) -> Targets:
        """(n, k)."""
        return targets_of(rows["topic"], self.topics.names)


@dataclass(frozen=True)
class Answer:
    """Topics that were named, their probabilities, seconds of training, and its share done."""

    named: Targets
    scores: npt.NDArray[np.float64]
    seconds: float
    done: float = 1.0


def read(path: Path, column: str, n_topics: int) -> tuple[pd.DataFrame, Topics]:
    """Rows with at least one of the most frequent labels of a column of lists."""
    table = pd.read_parquet(path)
    cells = table[column]
    lists = [ast.literal_eval(cell) if isinstance(cell, str) else list(cell) for cell in cells]
    count = Counter(label for cell in lists for label in set(cell))
    names = [label for label, _ in sorted(count.items(), key=lambda item: (-item[1], item[0]))]
    topics = Topics("multi", tuple(sorted(names[:n_topics])))
    kept = [tuple(name for name in topics.names if name in cell) for cell in lists]
    group = table["group"] if "group" in table else pd.Series(range(len(table)))
    rows = pd.DataFrame(
        {
            "id": [f"row {number}" for number in range(len(table))],
            "article": group.astype(str),
            "text": table["text"],
            "topic": kept,
            "label_source": "hand",
        }
    )
    return rows[rows["topic"].map(bool)].drop_duplicates("text").reset_index(drop=True), topics


def draw(
    rows: pd.DataFrame, topics: Topics, shots: int, seed: int, tests: int
) -> list[pd.DataFrame]:
    """Rows as they come until every topic has `shots`, and rows to test on."""
    rng = np.random.default_rng([seed, shots])
    rows = rows.iloc[rng.permutation(len(rows))].reset_index(drop=True)
    so_far = np.cumsum(targets_of(rows["topic"], topics.names), axis=0)
    enough = (so_far >= shots).all(axis=1)
    if not enough.any():
        raise SystemExit(f"the rarest topic has {so_far[-1].min()} rows, not {shots}")
    n = int(enough.argmax()) + 1
    train, rest = rows[:n].sort_values("id", ignore_index=True), rows[n:]
    rest = rest[~rest["article"].isin(train["article"])]
    return [train, rest[:tests].reset_index(drop=True)]


def pipeline(task: Task, room: ModuleType, section: object, params: Params) -> Answer:
    """A model of the project: folds, calibration and thresholds out-of-fold, and the final fit."""

    def fit(examples: Examples, seed: int, advance: Callable[[float], None]) -> Fitted:
        model: Fitted = room.fit(examples, task.topics, section, seed, advance)
        return model

    started, split = time.perf_counter(), params.split
    folds = make_folds(task.train, split.n_folds, 1, None, task.seed).table
    data = Labelled(task.train, task.topics, folds)
    scores = cross_validate(data, fit, task.seed).scores
    model = fit_all(data, fit, task.seed)
    _, found = calibrated(data, scores, params)
    seconds = time.perf_counter() - started
    told = apply_calibration(
        model.predict_proba(numbered(task.test["text"])), found, mode_of("multi")
    )
    return Answer(told >= found.thresholds, told, seconds)


def paratopic_baseline(task: Task) -> dict[str, Answer]:
    """The project's baseline."""
    params = Project().params
    return {"baseline": pipeline(task, baseline, params.section("baseline"), params)}


def paratopic_transformer(task: Task) -> dict[str, Answer]:
    """The project's transformer."""
    params = Project().params
    return {"transformer": pipeline(task, transformer, params.section("transformer"), params)}


def tfidf(task: Task) -> dict[str, Answer]:
    """TF-IDF and one logistic regression a topic, plain and with balanced classes."""
    answers = {}
    for name, weight in ("tfidf one-vs-rest", None), ("tfidf one-vs-rest balanced", "balanced"):
        started = time.perf_counter()
        model = make_pipeline(
            TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
            OneVsRestClassifier(LogisticRegression(class_weight=weight, max_iter=1000)),
        )
        model.fit(task.train["text"], task.targets(task.train).astype(int))
        seconds = time.perf_counter() - started
        scores = model.predict_proba(task.test["text"])
        answers[name] = Answer(scores >= 0.5, scores, seconds)
    return answers


def frozen(task: Task) -> dict[str, Answer]:
    """One logistic regression a topic, with balanced classes, on the frozen encoder."""
    started, params = time.perf_counter(), Project().params
    known = embeddings([*task.train["text"], *task.test["text"]], params, None)
    train, test = (
        np.array([known[text] for text in rows["text"]]) for rows in (task.train, task.test)
    )
    model = OneVsRestClassifier(recipes.regression())
    scores = model.fit(train, task.targets(task.train).astype(int)).predict_proba(test)
    return {"frozen": Answer(scores >= 0.5, scores, time.perf_counter() - started)}


def fine_tuned(task: Task) -> dict[str, Answer]:
    """Plain fine-tuning as in `recipes`, with binary cross-entropy and 0.5 as the threshold."""
    started, section = time.perf_counter(), Project().params.section("transformer")
    torch.manual_seed(task.seed)
    texts = list(task.train["text"])
    truth = torch.from_numpy(task.targets(task.train)).float()
    encoder = copy.deepcopy(
        load_encoder(choose_encoder(section.encoder, texts)[0], torch.device("cpu"))
    )
    encoder.max_seq_length = recipes.TOKENS
    size = encoder.get_embedding_dimension()
    assert size is not None
    model = nn.Sequential(encoder[0], encoder[1], Embedding(), nn.Linear(size, truth.shape[1]))
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipes.RATE, weight_decay=0.01)
    n_steps = recipes.EPOCHS * -(-len(texts) // recipes.BATCH)
    warmup = max(1, int(recipes.WARMUP * n_steps))
    schedule = get_linear_schedule_with_warmup(optimiser, warmup, n_steps)
    rng = np.random.default_rng(task.seed)
    model.train()
    for _ in range(recipes.EPOCHS):
        for batch in np.array_split(rng.permutation(len(texts)), n_steps // recipes.EPOCHS):
            logits = model(encoder.preprocess([texts[row] for row in batch]))
            optimiser.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(logits, truth[batch]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    seconds = time.perf_counter() - started
    model.eval()
    tests = task.test["text"].to_list()
    parts = (tests[start : start + recipes.BATCH] for start in range(0, len(tests), recipes.BATCH))
    with torch.no_grad():
        scores = torch.cat([model(encoder.preprocess(part)).sigmoid() for part in parts]).numpy()
    return {"fine-tuned": Answer(scores >= 0.5, scores, seconds)}


class Embedding(nn.Module):
    """Takes the embeddings out of what the modules of an encoder pass on."""

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """(n, d)."""
        return features["sentence_embedding"]


def setfit(task: Task) -> dict[str, Answer]:
    """SetFit with its defaults, and each of its strategies for several labels as the head.

    The encoder's training does not depend on the strategy: it is tuned once.
    """
    truth = task.targets(task.train).astype(int)
    model, seconds, done = train_setfit(
        list(task.train["text"]),
        truth.tolist(),
        task.seed,
        task.minutes,
        multi_target_strategy="one-vs-rest",
    )
    train, test = (
        model.model_body.encode(list(rows["text"]), show_progress_bar=False)
        for rows in (task.train, task.test)
    )
    heads = {
        "one-vs-rest": OneVsRestClassifier(LogisticRegression()),
        "multi-output": MultiOutputClassifier(LogisticRegression()),
        "classifier-chain": ClassifierChain(LogisticRegression()),
    }
    answers = {}
    for name, head in heads.items():
        head.fit(train, truth)
        found = head.predict_proba(test)
        scores = np.array([each[:, 1] for each in found]).T if isinstance(found, list) else found
        named = np.asarray(head.predict(test)).astype(bool)
        answers[f"setfit {name}"] = Answer(named, scores, seconds, done)
    return answers


METHODS: dict[str, Callable[[Task], dict[str, Answer]]] = {
    "tfidf": tfidf,
    "frozen": frozen,
    "fine-tuned": fine_tuned,
    "baseline": paratopic_baseline,
    "transformer": paratopic_transformer,
    "setfit": setfit,
}


def figures(task: Task, answer: Answer) -> dict[str, float]:
    """What one answer is worth."""
    truth = task.targets(task.test)
    known = truth.any(axis=0)
    return {
        "macro_f1": float(f1_score(truth, answer.named, average="macro", zero_division=0)),
        "micro_f1": float(f1_score(truth, answer.named, average="micro", zero_division=0)),
        "map": float(average_precision_score(truth[:, known], answer.scores[:, known])),
        "seconds": answer.seconds,
        "done": answer.done,
    }


def lines_of(runs: pd.DataFrame) -> list[dict[str, object]]:
    """Means over seeds, and standard errors: a line for each table, number and method."""
    lines = []
    for (data, shots, method), part in runs.groupby(["data", "shots", "method"], sort=False):
        line: dict[str, object] = {"data": data, "shots": shots, "method": method}
        line["seeds"] = len(part)
        for name in FIGURES:
            line[name] = with_error(part[name], 3, "")
        done = f" ({part['done'].mean():.0%} done)" if part["done"].min() < 1 else ""
        lines.append(line | {"seconds": f"{part['seconds'].mean():.0f}{done}"})
    return lines


def picture(runs: pd.DataFrame, path: Path) -> None:
    """Bars of macro- and micro-F1, one panel a number of shots."""
    shots = list(dict.fromkeys(runs["shots"]))
    figure, axes = plt.subplots(1, len(shots), figsize=(5.2 * len(shots), 4), squeeze=False)
    for axis, count in zip(axes[0], shots, strict=True):
        values = runs[runs["shots"] == count].groupby("method", sort=False)[
            ["macro_f1", "micro_f1"]
        ]
        mean, error = values.mean()[::-1], values.sem().fillna(0)[::-1]
        mean.plot.barh(ax=axis, xerr=error, color=["#2563a8", "#9bbbe0"], legend=False)
        axis.set(title=f"{count} positives a topic", xlabel="F1, mean ± standard error", ylabel="")
        axis.grid(axis="x", alpha=0.3)
    axes[0][0].legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Print a table; write every run and a picture."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="parquet file with text and labels"
    )
    parser.add_argument("--column", required=True, help="column of lists of labels")
    parser.add_argument("--topics", type=int, default=12, help="how many of the most frequent")
    parser.add_argument("--shots", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tests", type=int, default=1500)
    parser.add_argument(
        "--methods", nargs="*", default=[name for name in METHODS if name != "setfit"]
    )
    parser.add_argument("--against", nargs="*", default=[], choices=["setfit"])
    parser.add_argument("--minutes", type=float, default=30, help="of training, for peers")
    arguments = parser.parse_args()

    rows, topics = read(arguments.data, arguments.column, arguments.topics)
    data, results = f"{arguments.data.stem} {arguments.column}", arguments.results
    have = done(arguments, ["data", "shots", "seed", "from"])
    for shots in arguments.shots:
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            train, test = draw(rows, topics, shots, seed, arguments.tests)
            task = Task(train, test, topics, seed, arguments.minutes)
            for method in [*arguments.methods, *arguments.against]:
                if (data, shots, seed, method) in have:
                    continue
                about = {"data": data, "shots": shots, "seed": seed}
                more = {"from": method, "n": len(train)}
                lines = [
                    about | {"method": label} | more | figures(task, answer)
                    for label, answer in METHODS[method](task).items()
                ]
                print(*lines, sep="\n", flush=True)
                save(results, lines, KEY, __file__)
    runs = only(pd.DataFrame(saved(results)), data=[data])
    picture(runs, results.with_name(f"{results.stem}_{data.replace(' ', '_')}.png"))
    print(markdown(lines_of(runs)))


if __name__ == "__main__":
    main()
