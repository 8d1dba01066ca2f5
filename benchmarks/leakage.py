"""Whether copies in the labelled set flatter the out-of-fold figures.

Labelled sets are drawn from a big table; half of their paragraphs get a copy, which counts as an
article of its own. Every other copy is exact, the rest are edited: one word in twenty is another,
all is in capitals, no punctuation is left. Out-of-fold macro-F1 is measured with the project's
folds and with naive ones that know nothing of copies, and set against the truth: the macro-F1 of
the same models when new paragraphs of the same topics stand in for those held out. A new paragraph
counts twice where it stands in for one held out with its copy, so that both figures have the same
topics, the same number of independent rows and the same models behind them: what macro-F1 loses on
few rows, it loses on both sides. The models are ones that memorise. The table's own
near-duplicates and all but one paragraph of an article are left out first.

    python benchmarks/leakage.py TABLE.parquet --leave-out other
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from record import parser_of, save
from scipy import sparse
from simulation import draw, population
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from tables import markdown, read

from paratopic.corpus.duplicates import near_duplicates
from paratopic.corpus.folds import iterate_folds, make_folds
from paratopic.evaluation import metrics
from paratopic.inference.modes import Array
from paratopic.project.folder import Project
from paratopic.project.params import Split

Integers = npt.NDArray[np.int64]
Matrices = npt.NDArray[np.float64]
Fold = tuple[int, Integers, Integers]

# scikit-learn's classifiers have no types.
MODELS: dict[str, Callable[[], Any]] = {
    "nearest neighbour": lambda: KNeighborsClassifier(1),
    "linear SVM": lambda: LinearSVC(C=10.0),
}
EDITED_WORD = 20  # one word in so many is another
NEW = 600  # new paragraphs that a draw's models answer for
KEY = ["data", "size", "model", "folds"]
# What is printed of each.
SHOWN = {"model": "{model}", "folds": "{folds}", "reported": "{reported:.3f}", "true": "{true:.3f}"}
SHOWN |= {"reported - true": "{gap:+.4f}", "standard error": "{standard_error:.4f}"}
STAND_INS = 20  # sets of new paragraphs for each fold: little noise of the truth's own is left


def edited(text: str) -> str:
    """A near-duplicate of a text."""
    words = re.findall(r"\w+", text.upper())
    place = slice(EDITED_WORD // 2, None, EDITED_WORD)
    words[place] = ["EDITED"] * len(words[place])
    return " ".join(words)


def with_copies(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Rows, and copies of half of them."""
    copied = rows.iloc[rng.permutation(len(rows))[: len(rows) // 2]]
    texts = [edited(text) if i % 2 else text for i, text in enumerate(copied["text"])]
    own = {column: copied[column] + " copy" for column in ("id", "article")}
    return pd.concat([rows, copied.assign(text=texts, **own)], ignore_index=True)


def projects_folds(rows: pd.DataFrame, split: Split, seed: int) -> Iterator[Fold]:
    """Repeat, training rows and held-out rows."""
    table = make_folds(rows, split.n_folds, split.repeats(len(rows)), None, seed).table
    for repeat, _, train, test in iterate_folds(table, list(rows["id"])):
        yield repeat, train, test


def naive_folds(rows: pd.DataFrame, split: Split, seed: int) -> Iterator[Fold]:
    """The same, each row dealt out for itself."""
    for repeat in range(split.repeats(len(rows))):
        dealer = StratifiedKFold(split.n_folds, shuffle=True, random_state=seed + repeat)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            dealt = list(dealer.split(rows["label"], rows["label"]))
        for train, test in dealt:
            yield repeat, train, test


FOLDS = {"the project's": projects_folds, "naive": naive_folds}


class Trial:
    """One labelled set with copies, and what there is to test its models on.

    Parameters
    ----------
    rows
        With copies.
    rest
        New paragraphs of the same topics.
    """

    def __init__(self, rows: pd.DataFrame, rest: pd.DataFrame) -> None:
        names = sorted(set(rows["label"]))
        self.k = len(names)
        self.labels = np.array([names.index(topic) for topic in rows["label"]])
        self.groups = near_duplicates(list(rows["text"]))
        self.new = np.array([names.index(topic) for topic in rest["label"]])
        # Of fixed features: nothing is learnt from held-out text. Fewer than 2^14 words occur.
        vectoriser = HashingVectorizer(n_features=2**14, alternate_sign=False)
        self.features: sparse.csr_matrix = vectoriser.transform(rows["text"])
        self.new_features: sparse.csr_matrix = vectoriser.transform(rest["text"])

    def figures(
        self, folds: Iterator[Fold], model: Callable[[], Any], rng: np.random.Generator
    ) -> tuple[float, float]:
        """Macro-F1 as reported and on new paragraphs, means over repeats."""
        k = self.k
        reported: dict[int, Matrices] = defaultdict(lambda: np.zeros((k, k)))
        true: dict[int, Matrices] = defaultdict(lambda: np.zeros((STAND_INS, k, k)))
        for repeat, train, test in folds:
            fitted = model().fit(self.features[train], self.labels[train])
            answers = fitted.predict(self.features[test])
            reported[repeat] += confusion_matrix(self.labels[test], answers, labels=range(k))
            answers = fitted.predict(self.new_features)
            answers = confusion_matrix(self.new, answers, labels=range(k))
            shares = answers / answers.sum(axis=1, keepdims=True)
            # Units that are held out, their topics, and how many rows each has.
            _, first, sizes = np.unique(self.groups[test], return_index=True, return_counts=True)
            for topic, size in zip(self.labels[test][first], sizes, strict=True):
                true[repeat][:, topic] += size * rng.multinomial(1, shares[topic], size=STAND_INS)
        return (
            float(np.mean([macro_f1(matrix) for matrix in reported.values()])),
            float(np.mean([macro_f1(matrix) for matrix in true.values()])),
        )


def macro_f1(matrix: Matrices) -> Array:
    """Of confusion matrices (..., k, k), rows of true topics."""
    hit = np.diagonal(matrix, axis1=-2, axis2=-1)
    present = np.ones(matrix.shape[-1], dtype=bool)
    return metrics.macro_f1(hit, matrix.sum(axis=-2), matrix.sum(axis=-1), present)


def main() -> None:
    """Print a table; write it and a picture."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("table", help="parquet with text, label and, optionally, group")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--size", type=int, default=120, help="labelled paragraphs without copies")
    parser.add_argument("--draws", type=int, default=200)
    arguments = parser.parse_args()

    table = read(arguments.table, arguments.leave_out)
    rows = population(table).drop_duplicates("article")
    near = pd.Series(near_duplicates(list(rows["text"])), index=rows.index)
    rows = rows[~near.duplicated()]
    split = Project().params.split
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for seed in range(arguments.draws):
        rng = np.random.default_rng(seed)
        drawn = draw(rows, arguments.size, seed)
        labelled = with_copies(drawn.labelled, rng)
        new = drawn.rest.iloc[rng.permutation(len(drawn.rest))[:NEW]]
        trial = Trial(labelled, new)
        for model, make in MODELS.items():
            for folds, deal in FOLDS.items():
                found[model, folds].append(trial.figures(deal(labelled, split, seed), make, rng))

    lines: list[dict[str, Any]] = []
    for (model, folds), figures in found.items():
        reported, true = np.array(figures).T
        gap = reported - true
        line = {"data": table.name, "size": arguments.size, "model": model, "folds": folds}
        line |= {"draws": len(gap), "reported": reported.mean(), "true": true.mean()}
        line |= {"gap": gap.mean(), "standard_error": gap.std(ddof=1) / np.sqrt(len(gap))}
        lines.append(line)
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))
    name = f"{arguments.results.stem}_{table.name.replace(' ', '_')}.png"
    picture(lines, arguments.results.with_name(name))


def picture(lines: list[dict[str, Any]], path: Path) -> None:
    """How far the reported macro-F1 is off, in points, with 95 % intervals."""
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axes.axvspan(-1, 1, color="0.9", label="within a point")
    axes.axvline(0, color="0.5", linewidth=0.8)
    for number, line in enumerate(reversed(lines)):
        axes.errorbar(
            100 * line["gap"],
            number,
            xerr=196 * line["standard_error"],
            fmt="o",
            capsize=3,
            color="tab:red" if line["folds"] == "naive" else "tab:blue",
        )
    axes.set_yticks(
        range(len(lines)), [f"{line['model']}, {line['folds']} folds" for line in reversed(lines)]
    )
    axes.set_xlabel("reported minus true macro-F1, points")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
