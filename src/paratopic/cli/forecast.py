"""The command `paratopic forecast`: what more labels would bring.

The curve is measured by `training` and extended by `evaluation`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import pandas as pd
import typer
from rich.table import Column, Table

from paratopic.cli.project import check_measured, read_champion
from paratopic.corpus.labelled import Labelled
from paratopic.evaluation import forecast as curves
from paratopic.evaluation.forecast import CurvePoint
from paratopic.evaluation.metrics import Tally, value_of
from paratopic.evaluation.outcomes import outcomes
from paratopic.project.errors import UserError, plural
from paratopic.project.files import COMPARISON, read_json
from paratopic.project.kinds import KINDS
from paratopic.project.metrics import metrics_in
from paratopic.project.params import Params, read_params
from paratopic.project.terminal import bar, terminal
from paratopic.training import crossval
from paratopic.training.calibration import calibrate_rows

# Shares of the labels that the champion learns from anew, beside all of them.
SHARES = (0.25, 0.5)
CONFIDENCE = 0.8
MORE = (25, 50, 100, 200)


def forecast(
    more: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="How many more labels; repeat for several. [default: 25 50 100 200]"
        ),
    ] = None,
) -> None:
    """Forecast the champion's macro-F1 with more labels of the same kind.

    To measure the trend, the champion is trained on a quarter and on half of the labels.
    """
    params = read_params()
    champion, scores = read_champion()
    check_measured(scores, "there is no trend to forecast from")
    data = crossval.labelled_for(KINDS[champion], params)
    n_labels, measured = len(data.rows), outcomes(data, scores)
    if measured.too_few:
        raise UserError(f"macro-F1 cannot be forecast: {measured.too_few}; label more paragraphs")
    curve = _curve(params, champion, data, scores)
    numbers = sorted(set(more or MORE))
    sizes, wish = [n_labels + number for number in numbers], params.evaluate
    estimates = curves.forecast(curve, measured, sizes, CONFIDENCE, wish.n_draws, params.seed)
    title = metrics_in(read_json(COMPARISON, "`dvc repro`"))["macro_f1"].title
    columns = "labels", title, f"{CONFIDENCE:.0%} interval"
    right = [Column(name, justify="right") for name in columns]
    table = Table(*right, title=f"Forecast: {champion}")
    for size, estimate in zip(sizes, estimates, strict=True):
        interval = f"{estimate.low:.3f}–{estimate.high:.3f}"
        table.add_row(f"{size:,}", f"{estimate.value:.3f}", interval)
    terminal().print(table)
    number, estimate = list(zip(numbers, estimates, strict=True))[: len(MORE) // 2][-1]
    now = value_of(measured, Tally.macro_f1)
    print(
        f"{title}: {now:.3f} with today's {plural(n_labels, 'label')}. With {number} more, "
        f"expect {estimate.low:.2f} to {estimate.high:.2f}."
    )
    print("This is for labels like those so far. Labels of new articles may differ.")


def _curve(params: Params, champion: str, data: Labelled, known: pd.DataFrame) -> list[CurvePoint]:
    """The champion's learning curve; `known` are its scores with all labels."""
    kind, n_labels = KINDS[champion], len(data.rows)
    first = replace(data, folds=data.folds[data.folds["repeat"] == 0])
    fit = crossval.fitter(kind, params)
    processes = crossval.processes_for(kind, n_labels)
    tables, total = {1.0: known[known["repeat"] == 0]}, crossval.n_fits(first.folds)
    with bar(f"{champion}: fit", total * len(SHARES)) as advance:
        for number, share in enumerate(SHARES):
            step = partial(crossval.advance_from, number * total, advance)
            scores = crossval.cross_validate(first, fit, params.seed, step, processes, share).scores
            tables[share] = calibrate_rows(first, scores, params.calibrate)[0]
    curve = []
    for share, table in sorted(tables.items()):
        of_share = outcomes(first, table)
        curve.append(CurvePoint(share * of_share.train_share * n_labels, of_share))
    return curve
