"""What the rule for the champion costs: macro-F1 lost against the model that is truly better.

Small labelled sets are drawn from big labelled tables. Two models are compared on the project's own
folds: regularised least squares on TF-IDF, and on a frozen encoder's embeddings, to which noise is
added so that the encoder is also worse than TF-IDF. The truth is the macro-F1, on the rest of the
table, of the models fitted on the whole set. The rules see what the project's comparison sees.

    python benchmarks/champion.py --data TABLE.parquet OTHER.parquet --leave-out other
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import made_with
from simulation import draw, least_squares, noisy, out_of_fold, products, stand_ins
from sklearn.metrics import f1_score
from tables import RESULTS, read

from paratopic.corpus.folds import make_folds
from paratopic.evaluation.comparison import Pair, choose_champion
from paratopic.evaluation.intervals import Difference, difference
from paratopic.inference.scores import Array
from paratopic.project.files import write_json
from paratopic.project.params import Params, read_params

NOISE = (0.0, 1.0, 2.0, 3.0)  # length of the noise; that of an embedding is 1
SIZES = (20, 40, 80, 200)
PERMUTATIONS = 499
TFIDF, ENCODER = "tfidf", "encoder"
# The encoder is truly worse by this much.
WORSE = 0.1


def rules(params: Params) -> dict[str, Callable[[Difference], str]]:
    """Rule → the model that it chooses by the encoder's lead."""

    def project(lead: Difference) -> str:
        leads = {Pair(ENCODER, TFIDF): lead}
        return choose_champion([TFIDF, ENCODER], leads, params.compare.min_lead, None)

    return {
        "significant at 5 %": lambda d: ENCODER if d.p <= 0.05 and d.value > 0 else TFIDF,
        "higher estimate": lambda d: ENCODER if d.value > 0 else TFIDF,
        f"lead > {params.compare.min_lead:g} (the project's)": project,
        "always TF-IDF": lambda d: TFIDF,
        "always the encoder": lambda d: ENCODER,
    }


def trial(
    rows: pd.DataFrame, each: dict[str, Array], n: int, seed: int, params: Params
) -> dict[str, Any] | None:
    """One labelled set: the encoder's lead as the project sees it, and the true macro-F1 of both.

    None where a topic has one row only.
    """
    drawn = draw(rows, n, seed)
    labelled, split = drawn.labelled, params.split
    if labelled["label"].value_counts().min() < 2:
        return None
    folds = make_folds(labelled, split.n_folds, split.repeats(len(labelled)), None, seed).table
    labels = pd.factorize(labelled["label"], sort=True)[0].astype(np.int64)
    place = pd.Series(np.arange(len(rows)), index=rows["id"])
    inside, outside = place[labelled["id"]].to_numpy(), place[drawn.rest["id"]].to_numpy()
    outcomes, truth = {}, {}
    for name, known in each.items():
        train, test = known[np.ix_(inside, inside)], known[np.ix_(outside, inside)]
        outcomes[name] = out_of_fold(train, labels, folds, list(labelled["id"]))
        answers = least_squares(train, test, labels).argmax(axis=1)
        truth[name] = float(f1_score(drawn.truth(), answers, average="macro"))
    level = params.evaluate.confidence
    lead = difference(outcomes[ENCODER], outcomes[TFIDF], level, PERMUTATIONS, seed)
    return {"lead": lead, "truth": truth}


def main() -> None:
    """Print a markdown table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument(
        "--leave-out", nargs="*", default=[], help="labels to leave out, where they are"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=25, help="of each table, noise and size")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    arguments = parser.parse_args()
    params, started = read_params(), time.perf_counter()
    trials: list[dict[str, Any]] = []
    for pattern in arguments.data:
        labels = set(read(pattern).rows["label"])
        table = read(pattern, [label for label in arguments.leave_out if label in labels])
        rows, tfidf, vectors = stand_ins(table, params, arguments.embeddings)
        for noise in NOISE:
            rng = np.random.default_rng(params.seed)
            each = {TFIDF: products(tfidf), ENCODER: products(noisy(vectors, noise, rng))}
            for n in arguments.sizes:
                for seed in range(arguments.draws):
                    result = trial(rows, each, n, seed, params)
                    if result:
                        trials.append({"table": table.name, "noise": noise, "n": n} | result)
        print(f"{table.name}: {len(trials)} comparisons so far", flush=True)
    report(trials, arguments.sizes, rules(params), time.perf_counter() - started)


def report(
    trials: list[dict[str, Any]],
    sizes: Sequence[int],
    choices: dict[str, Callable[[Difference], str]],
    seconds: float,
) -> None:
    """Print and write what each rule loses."""
    frame = pd.DataFrame(
        {
            "noise": [t["noise"] for t in trials],
            "n": [t["n"] for t in trials],
            "true lead": [t["truth"][ENCODER] - t["truth"][TFIDF] for t in trials],
        }
    )
    lines: list[dict[str, Any]] = []
    for name, choose in choices.items():
        chosen = [choose(t["lead"]) for t in trials]
        lost = pd.Series(
            [max(t["truth"].values()) - t["truth"][c] for t, c in zip(trials, chosen, strict=True)]
        )
        worse = frame["true lead"] <= -WORSE
        crowned = pd.Series([c == ENCODER for c in chosen])
        lines.append(
            {
                "rule": name,
                "lost": 100 * lost.mean(),
                "real encoder": {
                    str(n): 100 * lost[(frame["noise"] == 0) & (frame["n"] == n)].mean()
                    for n in sizes
                },
                "worse crowned": float(crowned[worse].mean()) if worse.any() else 0.0,
                "worse": int(worse.sum()),
            }
        )
    print("| rule | points lost | real encoder, n = " + " / ".join(map(str, sizes)) + " | ", end="")
    print(f"crowned though {WORSE:.0%} worse |\n|---|---|---|---|")
    for line in lines:
        real = " / ".join(f"{value:.1f}" for value in line["real encoder"].values())
        print(f"| {line['rule']} | {line['lost']:.2f} | {real} | {line['worse crowned']:.1%} |")
    about = made_with(__file__, "scikit-learn", "numpy") | {
        "comparisons": len(trials),
        "results": lines,
    }
    write_json(RESULTS / "champion.json", about | {"seconds": round(seconds)})


if __name__ == "__main__":
    main()
