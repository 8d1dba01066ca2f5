"""What the rule for the champion costs: macro-F1 lost against the model that is truly better.

Small labelled sets are drawn from big labelled tables. Two models are compared on the project's own
folds: regularised least squares on TF-IDF, and on a frozen encoder's embeddings, to which noise is
added so that the encoder is also worse than TF-IDF. The truth is the macro-F1, on the rest of the
table, of the models fitted on the whole set. The rules see what the project's comparison sees.

    python benchmarks/champion.py --data TABLE.parquet OTHER.parquet --leave-out other
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import parser_of, save
from simulation import draw, least_squares, noisy, out_of_fold, products, stand_ins
from sklearn.metrics import f1_score
from tables import markdown, read

from paratopic.corpus.folds import make_folds
from paratopic.evaluation.comparison import choose_champion
from paratopic.evaluation.intervals import Difference, difference
from paratopic.inference.modes import Array
from paratopic.project.folder import Project
from paratopic.project.params import Params

NOISE = (0.0, 1.0, 2.0, 3.0)  # length of the noise; that of an embedding is 1
SIZES = (20, 40, 80, 200)
PERMUTATIONS = 499
TFIDF, ENCODER = "tfidf", "encoder"
# The encoder is truly worse by this much.
WORSE = 0.1
KEY = ["data", "rule"]


def rules() -> dict[str, Callable[[Difference], str]]:
    """Rule → the model that it chooses by the encoder's lead."""
    return {
        "significant at 5 %": lambda d: ENCODER if d.p <= 0.05 and d.value > 0 else TFIDF,
        "higher estimate (the project's)": lambda d: choose_champion(
            [TFIDF, ENCODER], {f"{ENCODER} - {TFIDF}": d}
        ),
        "lead > .02": lambda d: ENCODER if d.value > 0.02 else TFIDF,
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
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument(
        "--leave-out", nargs="*", default=[], help="labels to leave out, where they are"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=25, help="of each table, noise and size")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    arguments = parser.parse_args()
    params = Project().params
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
    lines = lost_by(trials, arguments.sizes, rules())
    save(arguments.results, lines, KEY, __file__)
    print(markdown([told(line, arguments.sizes) for line in lines]))


def lost_by(
    trials: list[dict[str, Any]],
    sizes: Sequence[int],
    choices: dict[str, Callable[[Difference], str]],
) -> list[dict[str, Any]]:
    """What each rule loses, in points: on average, and with the real encoder by size."""
    frame = pd.DataFrame([{"noise": t["noise"], "n": t["n"]} for t in trials])
    lead = pd.Series([t["truth"][ENCODER] - t["truth"][TFIDF] for t in trials])
    worse, lines = lead <= -WORSE, []
    for name, choose in choices.items():
        chosen = [choose(t["lead"]) for t in trials]
        lost = 100 * pd.Series(
            [max(t["truth"].values()) - t["truth"][c] for t, c in zip(trials, chosen, strict=True)]
        )
        tables = ", ".join(dict.fromkeys(t["table"] for t in trials))
        line: dict[str, Any] = {"data": tables, "rule": name}
        line |= {"comparisons": len(trials), "lost": lost.mean()}
        for n in sizes:
            line[f"lost_{n}"] = lost[(frame["noise"] == 0) & (frame["n"] == n)].mean()
        crowned = pd.Series([c == ENCODER for c in chosen])[worse]
        crowned_share = float(crowned.mean()) if len(crowned) else 0.0
        lines.append(line | {"worse": len(crowned), "worse_crowned": crowned_share})
    return lines


def told(line: dict[str, Any], sizes: Sequence[int]) -> dict[str, Any]:
    """What a rule loses, in words."""
    return {
        "rule": line["rule"],
        "points lost": f"{line['lost']:.2f}",
        "real encoder, n = " + " / ".join(map(str, sizes)): " / ".join(
            f"{line[f'lost_{n}']:.1f}" for n in sizes
        ),
        f"crowned though {WORSE:.0%} worse": f"{line['worse_crowned']:.1%}",
    }


if __name__ == "__main__":
    main()
