"""What one article teaches about others: the project's labels and codebook on foreign texts.

Trains on the project's labelled paragraphs (data/paragraphs.parquet) and on the codebook, on either
and on both, and answers the rows of a labelled table whose classes are topics of the codebook. Only
these topics are told apart: of their scores the best counts. Texts with a topic, of any label, are
told from those of a label that means none of the topics. Nothing is tuned here.

Answers are those of `predict`: a topic or none, which is a class like the others. Their macro-F1 is
measured with topics as frequent as in the table, with two texts of none for each of a topic
(`even`), and with several shares of texts with a topic and several values of `calibrate.caution`.
Beside them are the most similar description, from the similarity on that is best on these very
texts, and scikit-learn's logistic regression on the labels and the frozen encoder.

    python benchmarks/new_articles.py --data TABLE.parquet OTHER.parquet
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import recipes
from record import parser_of, rows_of, save
from simulation import embeddings
from sklearn.metrics import f1_score, roc_auc_score
from tables import Table, markdown, read

from paratopic.baseline import fit as baseline
from paratopic.corpus.labelled import labelled_rows, read_labelled_paragraphs
from paratopic.corpus.table import passages_for, targets_of
from paratopic.inference.modes import Scores, class_numbers
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples, Fitted
from paratopic.training.head import SingleRegression
from paratopic.transformer import fit as transformer

PARAGRAPHS = Path("data/paragraphs.parquet")
MODELS = ("tfidf", "frozen", "fine-tuned")
MOST_NONE = 2500
# Shares of texts with a topic, and values of `calibrate.caution`, of the curve.
SHARES, CAUTIONS = (0.05, 0.15, 0.3, 0.6), (0.5, 1.0, 2.0, 4.0)
KEY = ["data", "knowledge", "model"]
KNOWLEDGE = ("labels", "descriptions", "labels and descriptions")


def known(params: Params, knowledge: str) -> tuple[Examples, Topics]:
    """Examples and codebook with what is to be known, and without what is not."""
    frame = read_labelled_paragraphs(Paths())
    rows = labelled_rows(frame, params.topics)
    if knowledge == "descriptions":
        rows = rows[:0]
    articles = pd.factorize(rows["article"])[0].astype(np.int64)
    labels = targets_of(rows["topic"], params.topics.names)
    examples = Examples(
        numbered(passages_for(frame, rows["id"])), labels, np.arange(len(rows)), articles
    )
    bare = Topics(params.topics.mode, params.topics.names)
    return examples, bare if knowledge == "labels" else params.topics


def fitted(model: str, knowledge: str, params: Params) -> Fitted:
    """One model with one kind of knowledge."""
    examples, topics = known(params, knowledge)
    if model == "tfidf":
        return baseline.fit(examples, topics, params.section("baseline"), params.seed)
    section = params.section("transformer")
    if model == "frozen":
        section = replace(section, epochs=0)
    return transformer.fit(examples, topics, section, params.seed)


Answers = npt.NDArray[np.object_]


class Tests:
    """Rows of a table to answer: all but those of none, of which there are `MOST_NONE` at most.

    Parameters
    ----------
    table, none
        The table, and its label that means none of the topics.
    names
        Topics of the codebook. Rows of other labels are for `auroc` alone.
    """

    def __init__(self, table: Table, none: str, names: Sequence[str]) -> None:
        rows, self.names = table.rows, names
        other = rows[rows["label"] == none]
        other = other.sample(min(MOST_NONE, len(other)), random_state=0)
        self.rows = pd.concat([rows[rows["label"] != none], other], ignore_index=True)
        self.truth = self.rows["label"].mask(self.rows["label"] == none, "").to_numpy(dtype=object)
        self.counted = np.isin(self.truth, [*names, ""])
        self.classes = sorted(set(self.truth[self.counted]))
        self.share = float(
            rows["label"].isin(names).sum() / rows["label"].isin([*names, none]).sum()
        )

    def auroc(self, scores: Scores) -> float:
        """AUROC of having a topic, of any label."""
        return float(roc_auc_score(self.truth != "", scores.sum(axis=1)))

    def of_topics(self, scores: Scores) -> float:
        """Macro-F1 on rows with a topic of the codebook, of which the best counts."""
        present = [name for name in self.names if name in self.classes]
        columns = [self.names.index(name) for name in present]
        rows = self.counted & (self.truth != "")
        best = np.array(present)[scores[rows][:, columns].argmax(axis=1)]
        return float(f1_score(self.truth[rows], best, average="macro"))

    def macro_f1(self, answers: Answers, share: float, even: bool = False) -> float:
        """Macro-F1 if this share of the texts has a topic; all topics the same, if even."""
        truth, answers = self.truth[self.counted], answers[self.counted]
        has = truth != ""
        weights = np.where(has, share / has.sum(), (1 - share) / (~has).sum())
        if even:
            weights = np.where(has, 1.0, 2.0) / pd.Series(truth).map(Counter(truth))
        wanted: dict[str, Any] = {"average": "macro", "labels": self.classes}
        return float(f1_score(truth, answers, sample_weight=weights, **wanted))

    def figures(self, answers: Answers) -> dict[str, float]:
        """How good answers are with the shares of the table, and with even ones."""
        natural, even = (self.macro_f1(answers, self.share, even) for even in (False, True))
        return {"natural": natural, "even": even}


def answers_of(scores: Scores, names: Sequence[str], caution: float = 1.0) -> Answers:
    """Topics that `predict` names, "" for none: calibration changes no answer."""
    mode = SingleRegression()
    thresholds = mode.stricter_thresholds(np.ones(len(names)), caution)
    predicted = mode.outcomes(mode.predicted(scores, thresholds))
    outcomes: Answers = np.array([*names, ""], dtype=object)
    return np.asarray(outcomes[predicted.argmax(axis=1)])


def curve_of(tests: Tests, scores: Scores, names: Sequence[str]) -> dict[str, float]:
    """Macro-F1 by the share of texts with a topic and by caution."""
    return {
        f"share {share:g}, caution {caution:g}": tests.macro_f1(
            answers_of(scores, names, caution), share
        )
        for share in SHARES
        for caution in CAUTIONS
    }


def plainest(tests: Tests, params: Params) -> dict[tuple[str, str], dict[str, float]]:
    """The plainest recipes: knowledge and name → figures of their answers."""
    examples, topics = known(params, "labels and descriptions")
    names = np.array(topics.names, dtype=object)
    texts = [*topics.descriptions, *tests.rows["text"]]
    embedded = embeddings(texts, params, None)
    described, own = (
        np.array([embedded[text] for text in part])
        for part in (topics.descriptions, tests.rows["text"])
    )
    similarity = own @ described.T
    best = names[similarity.argmax(axis=1)]
    from_on = np.quantile(similarity.max(axis=1), np.linspace(0, 1, 50))
    nearest = [
        tests.figures(np.where(similarity.max(axis=1) >= least, best, "")) for least in from_on
    ]
    labels = [[*names, ""][number] for number in class_numbers(examples.targets)]
    answers = recipes.on_embeddings(examples.texts.plain, labels, list(tests.rows["text"]), params)
    return {
        ("descriptions", "nearest"): {key: max(f[key] for f in nearest) for key in nearest[0]},
        ("labels", "balanced head"): tests.figures(np.asarray(answers, dtype=object)),
    }


def main() -> None:
    """Print a table; write it and a picture."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", default="other", help="label that means none of the topics")
    arguments = parser.parse_args()
    params = Project().params
    tables = [read(pattern) for pattern in arguments.data]
    lines: list[dict[str, Any]] = []
    for knowledge in KNOWLEDGE:
        for model in MODELS:
            started = time.perf_counter()
            trained = fitted(model, knowledge, params)
            seconds = time.perf_counter() - started
            for table in tables:
                about = dict(zip(KEY, (table.name, knowledge, model), strict=True))
                tests = Tests(table, arguments.none, params.topics.names)
                scores = trained.predict_proba(numbered(tests.rows["text"]))
                line = about | {"rows": int(tests.counted.sum()), "seconds": seconds}
                line |= {"macro_f1": tests.of_topics(scores), "auroc": tests.auroc(scores)}
                lines.append(line | tests.figures(answers_of(scores, tests.names)))
                if (knowledge, model) == (KNOWLEDGE[-1], MODELS[-1]):
                    lines[-1] |= curve_of(tests, scores, tests.names)
                print(*(f"{name}={value}" for name, value in lines[-1].items()), flush=True)
    for table in tables:
        tests = Tests(table, arguments.none, params.topics.names)
        for (knowledge, recipe), figures in plainest(tests, params).items():
            about = dict(zip(KEY, (table.name, knowledge, recipe), strict=True))
            lines.append(about | figures)
            print(*(f"{name}={value}" for name, value in lines[-1].items()), flush=True)
    save(arguments.results, lines, KEY, __file__)
    print(markdown(rows_of(pd.DataFrame(lines)[[*KEY, "natural", "even"]].round(3))))
    found = pd.DataFrame(lines).pivot(index=KEY[:2], columns="model", values="macro_f1")
    found = found.loc[[(table.name, known) for table in tables for known in KNOWLEDGE]]
    print(markdown(rows_of(found[[*MODELS]].round(3).reset_index())))
    picture(found, [table.name for table in tables], arguments.results.with_suffix(".png"))


def picture(found: pd.DataFrame, names: list[str], path: Path) -> None:
    """Macro-F1 by model and knowledge, a panel for each table."""
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.5 * len(names), 3.4), sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        for number, knowledge in enumerate(KNOWLEDGE):
            place = np.arange(len(MODELS)) + 0.27 * (number - 1)
            values = found.loc[(name, knowledge), [*MODELS]]
            bars = axis.bar(place, values, width=0.25, label=knowledge)
            axis.bar_label(bars, fmt="%.2f", fontsize=7)
        axis.set_xticks(range(len(MODELS)), MODELS)
        axis.set(title=name, ylim=(0, 1.05))
    axes[0][0].set_ylabel("macro-F1")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
