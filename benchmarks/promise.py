"""Whether the promise about sure predictions is kept, and how much is predicted at all.

Small labelled sets are drawn from big labelled tables, document by document, with some rows that
have none of the topics. With `--cut` rows are dealt to made-up documents of so many rows, each with
a mix of topics of its own, and so many of its rows are drawn at once. The transformer is tuned,
cross-validated, calibrated and saved. The saved model then answers the rest of the table, mixed in
the same way. The promise is kept where at least `calibrate.precision` of the sure predictions are
right there. A set that the file of results already has is not drawn again.

    python benchmarks/promise.py --data BILLS AGNEWS --none other Sports --draws 8
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import done, only, parser_of, save, saved
from simulation import calibrated, population, trained, without
from tables import markdown, read

from paratopic import load
from paratopic.corpus.folds import TooFewLabels, make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.topics import Topics
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.training.examples import Fit
from paratopic.transformer import fit as transformer

SIZES = (60, 150, 500)
NONE_SHARE = 0.16  # of the rows that are drawn, and of those that are answered
MOST_ROWS = 3000  # with a topic, of a table
KEY = ["data", "documents_of", "n", "seed"]
# What is printed of each.
SHOWN = {
    "table": "{data}",
    "n": "{n}",
    "sets": "{sets}",
    "with any sure": "{some_sure}",
    "of these kept": "{kept}",
    "lowest": "{lowest:.1%}",
    "sure": "{sure:.0%}",
    "predicted": "{coverage:.0%}",
    "right, None included": "{right:.0%}",
}


def mixed(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """The first rows of both kinds, n at most, `NONE_SHARE` of them with none of the topics."""
    none = rows["label"] == ""
    n = min(n, int(none.sum() / NONE_SHARE), int((~none).sum() / (1 - NONE_SHARE)))
    n_none = round(n * NONE_SHARE)
    return pd.concat([rows[none][:n_none], rows[~none][: n - n_none]])


def in_documents(rows: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """The rows in made-up documents of so many rows, each with a mix of labels of its own.

    Rows are left out once a label of the mix is used up.
    """
    rng = np.random.default_rng(seed)
    left = {
        label: list(rng.permutation(part)) for label, part in rows.groupby("label").indices.items()
    }
    shares = np.array([len(part) for part in left.values()]) / len(rows)
    documents: list[list[int]] = []
    while True:
        wanted = rng.multinomial(size, rng.dirichlet(len(left) * shares))
        if any(len(part) < n for part, n in zip(left.values(), wanted, strict=True)):
            break
        drawn = zip(left.values(), wanted, strict=True)
        documents.append([part.pop() for part, n in drawn for _ in range(n)])
    kept = rows.iloc[np.concatenate(documents)]
    return kept.assign(article=np.repeat([f"document {n}" for n in range(len(documents))], size))


def trial(
    rows: pd.DataFrame, fit: Fit, topics: Topics, n: int, seed: int, params: Params
) -> dict[str, float]:
    """Figures of one labelled set; `sure` is nan if its labels are too few for folds."""
    rng = np.random.default_rng([seed, n])
    articles = rng.permutation(rows["article"].unique())
    rank = pd.Series(np.arange(len(articles)), index=articles)
    shuffled = rows.iloc[rng.permutation(len(rows))]
    shuffled = shuffled.iloc[np.argsort(rank[shuffled["article"]].to_numpy(), kind="stable")]
    labelled = mixed(shuffled, n).sort_values("id", ignore_index=True)
    rest = mixed(shuffled[~shuffled["article"].isin(labelled["article"])], len(rows))
    split = params.split
    try:
        folds = make_folds(labelled, split.n_folds, split.repeats(len(labelled)), None, seed).table
    except TooFewLabels:
        return {"sure": np.nan}
    data = Labelled(labelled, topics, folds)
    scores = cross_validate(data, fit, seed).scores
    _, calibration = calibrated(data, scores, params)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        fit_all(data, fit, seed).save(folder, calibration)
        answers = load(folder).predict(list(rest["text"]))
    topic = np.array([answer.topic or "" for answer in answers])
    sure, right = np.array([answer.sure for answer in answers]), topic == rest["label"].to_numpy()
    return {
        "sure": float(sure.mean()),
        "sure_right": float(right[sure].mean()) if sure.any() else np.nan,
        "coverage": float((topic != "").mean()),
        "right": float(right.mean()),
    }


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=8, help="of each table and size")
    parser.add_argument("--cut", type=int, help="rows of made-up documents; default: the table's")
    arguments = parser.parse_args()
    params, tables = Project().params, [read(pattern) for pattern in arguments.data]
    have, cut = done(arguments, KEY), arguments.cut
    fit_of = trained(transformer, params.section("transformer"))
    for table in tables:
        rows = without(population(table), arguments.none)
        rows = mixed(rows.sample(frac=1, random_state=params.seed), MOST_ROWS)
        if cut:
            rows = in_documents(rows, cut, params.seed)
        topics = Topics("single", tuple(sorted(set(rows["label"]) - {""})))
        for seed in range(arguments.draws):
            for n in arguments.sizes:
                about = (table.name, cut, n, seed)
                if about in have:
                    continue
                figures = trial(rows, fit_of(topics), topics, n, seed, params)
                line = dict(zip(KEY, about, strict=True)) | figures
                save(arguments.results, [line], KEY, __file__)
                print(*(f"{key}={value}" for key, value in line.items()), flush=True)
    names, seeds = [table.name for table in tables], range(arguments.draws)
    every = only(pd.DataFrame(saved(arguments.results)), data=names, n=arguments.sizes, seed=seeds)
    every = every[every["documents_of"].isna() if cut is None else every["documents_of"] == cut]
    print(markdown([*summary(every, params.calibrate.precision)], SHOWN))


def summary(runs: pd.DataFrame, promised: float) -> Iterator[dict[str, Any]]:
    """Figures of all labelled sets of a table and size, without those too small for folds."""
    for (data, n), part in runs.dropna(subset="sure").groupby(["data", "n"], sort=False):
        right = part["sure_right"].dropna()
        yield {
            "data": data,
            "n": n,
            "sets": len(part),
            "some_sure": len(right),
            "kept": int((right >= promised).sum()),
            "lowest": right.min(),
        } | {key: part[key].mean() for key in ("sure", "coverage", "right")}


if __name__ == "__main__":
    main()
