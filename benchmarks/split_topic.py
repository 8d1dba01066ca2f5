"""How much of a split topic has to be labelled again: in the order of `paratopic codebook todo`.

Labels of one topic are to become labels of two. A share of them is labelled again with the truth; a
head on frozen embeddings, as in `simulation.frozen`, answers for the others. Measured on bills of
the topic that are never labelled, against labelling all of them again.

    python benchmarks/split_topic.py --data BILLS.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from record import made_with
from simulation import Embeddings, embeddings, frozen
from sklearn.metrics import f1_score
from tables import RESULTS

from paratopic.inference.scores import Array, Integers, one_hot
from paratopic.project.codebook import first_definition
from paratopic.project.files import write_json
from paratopic.project.params import read_params
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples, Fitted, silent

SPLIT = "security"
NAMES = ("military", "veterans")
# What each of the topics covers, as somebody would write it before labelling again.
DEFINITIONS = (
    "The armed forces and defence: weapons, bases, operations, sanctions and border security.",
    "Former members of the armed forces: their benefits, health care, schooling and housing.",
)
SHARES = (0.1, 0.3, 0.5)


def gaps(texts: list[str], covered: tuple[str, ...], known: Embeddings) -> Array:
    """How much more one topic is like each text than the other, (n,)."""
    likeness = np.array([known[text] for text in texts]) @ np.array([known[d] for d in covered]).T
    gap: Array = np.abs(likeness[:, 0] - likeness[:, 1])
    return gap


def fitted(texts: list[str], labels: Integers, known: Embeddings, seed: int) -> Fitted:
    """A head on frozen embeddings."""
    alone = np.arange(len(texts))
    examples = Examples(texts, one_hot(labels, len(NAMES)), alone, alone)
    return frozen(known)(Topics("single", NAMES))(examples, seed, silent)


def runs_of(
    rows: pd.DataFrame, known: Embeddings, n_labels: int, seed: int
) -> list[dict[str, object]]:
    """A line for each order and share that is labelled again."""
    rng = np.random.default_rng([seed, 117])
    groups = rng.permutation(rows["group"].unique())
    rank = pd.Series(np.arange(len(groups)), index=groups)
    rows = rows.iloc[np.argsort(rank[rows["group"]].to_numpy(), kind="stable")]
    pool, rest = rows[:n_labels], rows[n_labels:]
    rest = rest[~rest["group"].isin(pool["group"])]
    texts, truth = list(pool["text"]), pool["veterans_flag"].to_numpy().astype(np.int64)
    held_out, true = list(rest["text"]), rest["veterans_flag"].to_numpy().astype(np.int64)

    def measured(texts: list[str], labels: Integers) -> dict[str, float]:
        answers = fitted(texts, labels, known, seed).predict_proba(held_out).argmax(axis=1)
        scores = f1_score(true, answers, average=None)
        return {name: round(float(f1), 4) for name, f1 in zip(NAMES, scores, strict=True)}

    orders = {
        "todo": np.argsort(gaps(texts, DEFINITIONS, known), kind="stable"),
        "todo, placeholders": np.argsort(
            gaps(texts, tuple(map(first_definition, NAMES)), known), kind="stable"
        ),
        "random": rng.permutation(len(texts)),
    }
    lines: list[dict[str, object]] = [
        {"seed": seed, "order": "all", "share": 1.0, "answers": "none", "right": 1.0}
        | measured(texts, truth)
    ]
    for order, places in orders.items():
        for share in SHARES:
            again = places[: round(share * len(texts))]
            others = np.setdiff1d(np.arange(len(texts)), again)
            chosen = [texts[place] for place in again]
            if len(set(truth[again])) < len(NAMES):
                continue
            model = fitted(chosen, truth[again], known, seed)
            labels = truth.copy()
            labels[others] = model.predict_proba([texts[n] for n in others]).argmax(axis=1)
            right = float((labels[others] == truth[others]).mean())
            line = {"seed": seed, "order": order, "share": share, "right": round(right, 4)}
            lines.append(line | {"answers": "model"} | measured(texts, labels))
            lines.append(line | {"answers": "none"} | measured(chosen, truth[again]))
    return lines


def main() -> None:
    """Print a markdown table, and write every run as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the table of bills")
    parser.add_argument("--labels", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--kept", type=Path, help="folder that keeps embeddings for another run")
    parser.add_argument("--results", type=Path, default=RESULTS / "split_topic.json")
    arguments = parser.parse_args()

    table = pd.read_parquet(arguments.data)
    rows = table[table["label"] == SPLIT].drop_duplicates("text")
    texts = [*rows["text"], *DEFINITIONS, *map(first_definition, NAMES)]
    kept = arguments.kept and arguments.kept / f"{arguments.data.stem}-{SPLIT}.npz"
    known = embeddings(texts, read_params(), kept)
    runs = pd.DataFrame(
        [
            line
            for seed in range(arguments.seeds)
            for line in runs_of(rows, known, arguments.labels, seed)
        ]
    )
    runs["macro_f1"] = runs[list(NAMES)].mean(axis=1)
    keys = ["order", "share", "answers"]
    means = runs.groupby(keys, sort=False)[["right", *NAMES, "macro_f1"]].mean().round(4)
    spread = runs.groupby(keys, sort=False)["macro_f1"].sem().round(4)
    summary = means.assign(standard_error=spread).reset_index().to_dict("records")
    options = {
        "labels": arguments.labels,
        "seeds": arguments.seeds,
        "definitions": list(DEFINITIONS),
    }
    made_on = made_with(__file__, "scikit-learn", "sentence-transformers")
    write_json(
        arguments.results,
        options
        | {"definitions": list(DEFINITIONS)}
        | made_on
        | {"summary": summary, "runs": runs.to_dict("records")},
    )
    print("| order | labelled again | others | right of the others | military | veterans | mean |")
    print("|---|---|---|---|---|---|---|")
    for line in summary:
        right = "–" if line["order"] == "all" else f"{line['right']:.1%}"
        print(
            f"| {line['order']} | {line['share']:.0%} | "
            f"{'left out' if line['answers'] == 'none' else 'as the model says'} | {right} | "
            f"{line['military']:.3f} | {line['veterans']:.3f} | "
            f"{line['macro_f1']:.3f} ± {line['standard_error']:.3f} |"
        )


if __name__ == "__main__":
    main()
