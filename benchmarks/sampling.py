"""What labels that a model suggested do to figures, and whether weights undo it.

Each project begins with labels at random. Then paragraphs are suggested, or drawn mixed, as
`paratopic suggest` and `paratopic suggest --mixed` do. The transformer is tuned, cross-validated,
calibrated and saved. Figures of the labels are compared with those on all other texts of the table,
and shares with the table's own. A project that the file of results already has is not repeated.

    python benchmarks/sampling.py --data BILLS --none other --draws 8
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from record import done, only, parser_of, save, saved
from shares_frozen import outcomes
from simulation import Learner, calibrated, population, trained, without
from sklearn.metrics import f1_score
from tables import markdown, read

from paratopic import load
from paratopic.annotation.suggestion import choose, draw_mixed, draw_random, unlabelled_rows
from paratopic.corpus.folds import TooFewLabels, make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.evaluation.intervals import proportion_estimates
from paratopic.evaluation.metrics import Tally, prediction_proportions, sample_value
from paratopic.evaluation.outcomes import prediction_outcomes
from paratopic.findings.shares import Sample, shares
from paratopic.inference.model import Model
from paratopic.inference.modes import Array, Calibration, Features, Integers, mode_of
from paratopic.labels.log import Label
from paratopic.labels.sample import weigh_sample
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.topics import Topics
from paratopic.training.calibration import apply_calibration
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.transformer import fit as transformer

MOST_ROWS = 2500  # of a table
# More than the project's: the fewer labels are held out, the less the figures are too low for that.
N_FOLDS = 10
CONFIDENCE = 0.95
MODE = mode_of("single")
KEY = ["data", "first", "more", "seed", "labels"]
# How labels that follow are chosen; "uncertain" are the smallest margins, however alike.
HOW = ("random", "suggested", "uncertain", "mixed")
FIGURES = ("accuracy_gap", "accuracy_held", "macro_f1_gap", "accuracy", "macro_f1")
# What is printed of each.
SHOWN = {
    "table": "{data}",
    "labels": "{labels}",
    "accuracy: off by": "{accuracy_gap:+.1%}",
    "its interval holds": "{accuracy_held:.0%}",
    "macro-F1: off by": "{macro_f1_gap:+.1%} ± {macro_f1_error:.1f}",
    "shares: off by": "{shares_gap:.1f}",
    "true accuracy": "{accuracy:.3f}",
    "true macro-F1": "{macro_f1:.3f}",
}


class Sizes(NamedTuple):
    """Numbers of labels: at random to begin with, and those that follow."""

    first: int
    more: int


def model_of(data: Labelled, learner: Learner, seed: int, folder: Path) -> Model:
    """The model that stage train saves in a folder, not yet calibrated."""
    fit_all(data, learner(data.topics), seed).save(folder, Calibration())
    return load(folder)


def drawn_ids(
    frame: pd.DataFrame,
    learner: Learner,
    topics: Topics,
    how: str,
    sizes: Sizes,
    seed: int,
    folder: Path,
) -> dict[str, str]:
    """Id → `Label.drawn` of the labels of a project, in the order in which they are given."""
    first = draw_random(frame, (), sizes.first, seed)
    if how == "random":
        return draw_random(frame, (), sum(sizes), seed)
    rows = frame[frame["id"].isin(first)].sort_values("id", ignore_index=True)
    rows = rows.assign(label_source="hand")
    folds = make_folds(rows, N_FOLDS, 1, None, seed).table
    model = model_of(Labelled(rows, topics, folds), learner, seed, folder)
    rest = unlabelled_rows(frame, first)
    texts = list(rest["text"])

    def embed(numbers: Integers) -> Features:
        return model.embed([texts[number] for number in numbers])

    doubt = MODE.uncertainty(model.predict_proba(texts))
    margins = np.argsort(-doubt, kind="stable")[: sizes.more]
    order = margins if how == "uncertain" else choose(doubt, embed, sizes.more, seed)
    suggested = list(rest["id"].iloc[order])
    if how != "mixed":
        return first | dict.fromkeys(suggested, "")
    return first | draw_mixed(frame, first, suggested, sizes.more, seed)


def shares_off(probabilities: Array, labelled: Integers, truth: Array, weights: Array) -> Array:
    """How far the shares of outcomes are off, (k + 1,).

    Parameters
    ----------
    probabilities
        (n, k) probabilities of all texts.
    labelled
        Numbers of the texts with labels, ascending.
    truth
        (n, k + 1) whether each text has each outcome.
    weights
        (n,) weights of the texts, of which those of labelled ones count.
    """
    complete = MODE.complete(probabilities)
    known = weights[labelled]
    sample = Sample(complete, labelled, truth[labelled], known, np.minimum(known, 1.0))
    estimate = shares(sample, np.ones(len(truth)), CONFIDENCE).shares
    gaps: Array = np.array([share.value for share in estimate]) - truth.mean(axis=0)
    return gaps


def project(
    frame: pd.DataFrame,
    learner: Learner,
    topics: Topics,
    params: Params,
    how: str,
    sizes: Sizes,
    seed: int,
    folder: Path,
) -> list[dict[str, Any]]:
    """Lines of the results: figures without weights and, if there are any, with them."""
    drawn = drawn_ids(frame, learner, topics, how, sizes, seed, folder / "first")
    labelled = frame["id"].isin(drawn)
    frame = frame.assign(label_source=np.where(labelled, "hand", "none"), draw="")
    lines = [Label("", id_, "", "", drawn=chance) for id_, chance in drawn.items()]
    frame = frame.assign(**weigh_sample(frame, lines, {}))
    rows = frame[labelled].sort_values("id", ignore_index=True)
    folds = make_folds(rows, N_FOLDS, 1, None, seed).table
    data = Labelled(rows, topics, folds)
    scored = cross_validate(data, learner(topics), seed).scores
    raw = model_of(data, learner, seed, folder / "all").predict_proba(list(frame["text"]))
    truth, results = outcomes(frame, list(topics.names)), []
    true = truth[~labelled]
    for weighted in (False, True) if how == "mixed" else (False,):
        part = rows if weighted else rows.assign(draw="")
        data = Labelled(part, topics, folds)
        scores, calibration = calibrated(data, scored, params)
        answered = prediction_outcomes(data, scores)
        figure = proportion_estimates(
            answered, prediction_proportions(answered), CONFIDENCE, 300, seed
        )["answer_accuracy"]
        probabilities = apply_calibration(raw, calibration, MODE)
        given = MODE.predicted(probabilities, calibration.thresholds)
        predicted = MODE.outcomes(given)[~labelled]
        accuracy = float((predicted == true).all(axis=1).mean())
        macro_f1 = f1_score(true.argmax(axis=1), predicted.argmax(axis=1), average="macro")
        place = pd.Index(frame["id"]).get_indexer(scores["id"])
        probabilities[place] = scores[topics.score_columns].to_numpy()
        weights = frame["weight"].to_numpy() if weighted else np.ones(len(frame))
        gaps = shares_off(probabilities, np.sort(place), truth, weights)
        results.append(
            {
                "labels": how + (", weighted" if weighted else ""),
                "accuracy_gap": sample_value(answered, Tally.accuracy) - accuracy,
                "accuracy_held": float((figure.low or 0) <= accuracy <= (figure.high or 1)),
                "macro_f1_gap": sample_value(answered, Tally.macro_f1) - float(macro_f1),
                "accuracy": accuracy,
                "macro_f1": float(macro_f1),
                **{f"share {k}": float(gap) for k, gap in enumerate(gaps)},
            }
        )
    return results


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", nargs="*", default=[], help="labels that mean: no topic")
    parser.add_argument("--first", type=int, default=40, help="labels at random to begin with")
    parser.add_argument("--more", type=int, default=160, help="labels that follow")
    parser.add_argument("--draws", type=int, default=8, help="of each table")
    arguments = parser.parse_args()
    params = Project().params
    sizes = Sizes(arguments.first, arguments.more)
    have = {key[:-1] + (key[-1].partition(",")[0],) for key in done(arguments, KEY)}
    learner = trained(transformer, params.section("transformer"))
    results: list[dict[str, Any]] = []
    for pattern in arguments.data:
        table = read(pattern)
        frame = without(population(table), arguments.none)
        if len(frame) > MOST_ROWS:
            frame = frame.sample(MOST_ROWS, random_state=params.seed)
        frame = frame.drop_duplicates("text").sort_values("id", ignore_index=True)
        frame = frame.assign(label_source="none", position=range(len(frame)))
        topics = Topics("single", tuple(sorted(set(frame["label"]) - {""})))
        about = {"data": table.name} | sizes._asdict()
        for seed in range(arguments.draws):
            for how in HOW:
                if (*about.values(), seed, how) in have:
                    continue
                with contextlib.suppress(TooFewLabels), tempfile.TemporaryDirectory() as name:
                    runs = project(frame, learner, topics, params, how, sizes, seed, Path(name))
                    lines = [about | {"seed": seed} | run for run in runs]
                    save(arguments.results, lines, KEY, __file__)
                    print(f"{table.name} {seed} {how}: done", flush=True)
        wanted = {name: [value] for name, value in about.items()}
        every = only(pd.DataFrame(saved(arguments.results)), seed=range(arguments.draws), **wanted)
        results += [about | line for line in summary(every)]
    print(markdown(results, SHOWN))


def summary(runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Means over draws, and how far shares of topics are off on average: by kind of labels."""
    for how, part in runs.groupby("labels", sort=False):
        mean = part.mean(numeric_only=True)
        gaps = part["macro_f1_gap"].to_numpy(dtype=np.float64)
        off = part.filter(like="share ").mean().abs().to_numpy(dtype=np.float64)
        yield {
            "labels": how,
            "draws": len(part),
            "macro_f1_error": 100 * gaps.std(ddof=1) / len(gaps) ** 0.5,
            "shares_gap": 100 * off.mean(),
            **{name: mean[name] for name in FIGURES},
        }


if __name__ == "__main__":
    main()
