"""The command `paratopic forecast`: what more labels would bring.

The curve is measured by `training` and extended by `evaluation`, which are imported late.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer
from dvc.exceptions import DvcException
from dvc.repo import Repo
from rich.console import Console
from rich.table import Table

from paratopic.corpus.table import read_parquet
from paratopic.evaluation import forecast as curves
from paratopic.evaluation.forecast import CurvePoint
from paratopic.evaluation.intervals import Tally, value_of
from paratopic.evaluation.outcomes import Outcomes, outcomes
from paratopic.inference.promise import Promise
from paratopic.inference.scores import Array
from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.kinds import KINDS
from paratopic.project.metrics import metrics_in
from paratopic.project.params import Params, read_params
from paratopic.project.paths import COMPARISON, SCORES
from paratopic.project.plurals import plural
from paratopic.project.progress import bar
from paratopic.training.calibration import calibrate_rows
from paratopic.training.crossval import advance_from, cross_validate, n_fits
from paratopic.training.fitting import fitter, labelled_for, processes_for

# Shares of the labels that the champion learns from anew, beside all of them.
SHARES = (0.25, 0.5)
CONFIDENCE = 0.8
MORE = (25, 50, 100, 200)

More = Annotated[
    list[int] | None,
    typer.Option(min=1, help="How many more labels; repeat for several. [default: 25 50 100 200]"),
]


def forecast(more: More = None) -> None:
    """Forecast the champion's macro-F1 with more labels of the same kind.

    To measure the trend, the champion is trained on a quarter and on half of the labels.
    """
    params = read_params()
    champion = read_champion()
    curve, measured, labels, n_labels = _curve(params, champion)
    numbers = sorted(set(more or MORE))
    sizes = [n_labels + number for number in numbers]
    draws, seed = params.evaluate.n_draws, params.seed
    estimates = curves.forecast(curve, measured, labels, sizes, CONFIDENCE, draws, seed)
    title = metrics_in(params.topics.mode)["macro_f1"].title
    table = Table(title=f"Forecast: {champion}")
    for column in ("labels", title, f"{CONFIDENCE:.0%} interval"):
        table.add_column(column, justify="right")
    for size, estimate in zip(sizes, estimates, strict=True):
        interval = f"{estimate.low:.3f}–{estimate.high:.3f}"
        table.add_row(f"{size:,}", f"{estimate.value:.3f}", interval)
    Console(highlight=False).print(table)
    number, estimate = list(zip(numbers, estimates, strict=True))[: len(MORE) // 2][-1]
    now = value_of(measured, Tally.macro_f1)
    print(
        f"{title}: {now:.3f} with today's {plural(n_labels, 'label')}. With {number} more, "
        f"expect {estimate.low:.2f} to {estimate.high:.2f}."
    )
    come = float(curves.coming(labels, measured.present, number / n_labels).sum())
    others = f" and about {come:.1f} more that these labels bring" if come >= 0.05 else ""
    print(
        f"This is about the {plural(int(measured.present.sum()), 'topic')} measured so far{others},"
        " and for labels like those so far. Labels of new articles may differ."
    )


def read_champion() -> str:
    """Name of the champion; a `UserError` says that no models were compared yet."""
    return str(files.read_json(COMPARISON, "`dvc repro`").get("champion"))


def check_scored(champion: str) -> None:
    """Refuse scores that are of other labels or params than there are."""
    try:
        changes = Repo().status(targets=[f"score@{champion}"])
    except DvcException as error:
        raise UserError(f"DVC cannot tell whether the scores are up to date: {error}") from None
    if changes:
        raise UserError("labels or params changed since the last scores: run `dvc repro` first")


def _curve(params: Params, champion: str) -> tuple[list[CurvePoint], Outcomes, Array, int]:
    """The champion's learning curve and its outcomes with all labels, and numbers of labels.

    These are the labels of each topic, and all of them.
    """
    kind = KINDS[champion]
    data = labelled_for(kind, params)
    n_labels = len(data.rows)
    known = read_parquet(SCORES / champion / "scores.parquet")
    check_scored(champion)
    if known.empty:
        raise UserError(
            "nothing has been measured yet, so there is no trend to forecast from: label more "
            "paragraphs, and run `dvc repro`"
        )
    measured = outcomes(data, known)
    first = replace(data, folds=data.folds[data.folds["repeat"] == 0])
    fit = fitter(kind, params)
    promise = Promise(params.calibrate.precision, params.calibrate.confidence)
    processes = processes_for(kind, n_labels)
    tables, total = [], n_fits(first.folds)
    with bar(f"{champion}: fit", total * len(SHARES)) as advance:
        for number, share in enumerate(SHARES):
            scores = cross_validate(
                first,
                fit,
                params.seed,
                partial(advance_from, number * total, advance),
                processes,
                share,
            ).scores
            tables.append((share, calibrate_rows(first, scores, promise)[0]))
    tables.append((1.0, known[known["repeat"] == 0]))
    points = []
    for share, table in tables:
        of_share = outcomes(first, table)
        points.append(CurvePoint(share * of_share.train_share * n_labels, of_share))
    labels = data.targets.sum(axis=0).astype(float)
    return points, measured, labels, n_labels
