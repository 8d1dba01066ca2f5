"""Stage train@MODEL: out-of-fold scores of every labelled paragraph, then the model of them all."""

from __future__ import annotations

import importlib
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from paratopic import corpus, errors, files
from paratopic.calibration import NOT_COUNTED, calibrate
from paratopic.params import read_params
from paratopic.training import Advance, Examples, Fitted, n_fits, numbers, train

PARAGRAPHS = Path("data/paragraphs.parquet")
FOLDS = Path("data/folds.parquet")
SCORES = Path("data/oof")
MODELS = Path("models")


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    # By name: a model's stage imports that model's room alone.
    room = importlib.import_module(f"paratopic.{name}")
    section = getattr(params, name)

    def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
        fitted: Fitted = room.fit(examples, params.topics, section, seed, advance)
        return fitted

    rows = corpus.labelled(corpus.read_paragraphs(PARAGRAPHS))
    folds = pd.read_parquet(FOLDS)
    started = time.monotonic()
    total = n_fits(folds)
    console = Console(stderr=True)
    with Progress(
        TextColumn(f"{name}: fit"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(name, total=total)
        model, scores, history = train(
            rows,
            params.topics.names,
            folds,
            fit,
            params.seed,
            lambda done: progress.update(task, completed=done),
        )
    true = numbers(rows, params.topics.names)
    true[~corpus.counted(rows)] = NOT_COUNTED
    of_score = pd.Series(true, index=rows["id"]).reindex(scores["id"]).to_numpy()
    scores, found = calibrate(of_score, scores, params.topics.names, params.calibrate.precision)
    with files.aside(SCORES / name) as draft:
        draft.mkdir()
        scores.to_parquet(draft / "scores.parquet", index=False)
        history.to_csv(draft / "history.csv", index=False, lineterminator="\n")
        parity = model.save(MODELS / name, found)
        files.write_json(draft / "calibration.json", asdict(found) | {"parity": parity})
    print(f"{name}: {total} fits in {time.monotonic() - started:.0f} s, saved in {MODELS / name}")


if __name__ == "__main__":
    errors.run(main)
