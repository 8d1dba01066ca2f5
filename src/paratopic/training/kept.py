"""Scores of held-out paragraphs as they are before calibration, computed once for the same fits.

They are kept beside the pipeline's results, which DVC makes anew whenever a file that a stage reads
has changed. The table of answers also says how paragraphs were drawn: that changes what calibrates
scores, and what figures count, but no fit.
"""

from __future__ import annotations

import time
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import pandas as pd

from paratopic.corpus.labelled import Labelled, read_answer_rows
from paratopic.project import files
from paratopic.project.errors import plural
from paratopic.project.files import ANSWERS, CHECKPOINTS, FITS, FOLDS, INSTALLED, PARAGRAPHS, SPLIT
from paratopic.project.kinds import Kind
from paratopic.project.params import Params
from paratopic.project.terminal import bar, duration
from paratopic.training.crossval import (
    cross_validate,
    fitter,
    is_first_process,
    labelled_for,
    n_fits,
    processes_for,
    score_apart,
    score_by_definitions,
)

LIBRARIES = "numpy", "scipy", "scikit-learn", "torch", "transformers", "tokenizers"
# Columns of the table of answers that say how paragraphs were drawn.
OF_DRAWS = ["draw", "weight"]


def out_of_fold(kind: Kind, params: Params) -> tuple[Labelled, dict[str, pd.DataFrame]]:
    """Score the held-out paragraphs of the project in the current directory, or read the scores.

    Says first how many fits that takes, why, and how long the last ones took.

    Returns
    -------
    The labelled paragraphs; and the tables "scores", "alone" and "history" of `cross_validate`,
    "definitions" of `score_by_definitions`, where that is to be measured, and "apart" of
    `score_apart`.
    """
    folder, data = CHECKPOINTS / "score" / kind.name, labelled_for(kind, params)
    read = _read_by_fits(kind, params)
    last = files.read_json(folder / FITS, "stage score") if (folder / FITS).exists() else {}
    changed = [part for part in read if read[part] != last.get("read", {}).get(part)]
    if not changed:
        print(f"{kind.name}: no fit: texts, labels and settings are as they were", flush=True)
        return data, {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}
    total, labelled = n_fits(data.folds), plural(len(data.rows), "labelled paragraph")
    line = f"{kind.name}: {plural(total, 'fit')} of {labelled}"
    if last:
        line += f", because {', '.join(changed)} changed; the last ones took "
        line += f"{duration(last['seconds'])}, of {last['labelled']}"
    print(line, flush=True)
    started = time.monotonic()
    tables = _fit(kind, params, data, folder)
    if is_first_process():
        made = {"read": read, "seconds": time.monotonic() - started, "labelled": labelled}
        with files.aside(folder) as draft:
            draft.mkdir()
            for name, table in tables.items():
                table.to_parquet(draft / f"{name}.parquet", index=False)
            files.write_json(draft / FITS, made)
    return data, tables


def _fit(kind: Kind, params: Params, data: Labelled, folder: Path) -> dict[str, pd.DataFrame]:
    """Fit a model for each fold, and others; the folder is for their checkpoints."""
    fit, processes = fitter(kind, params, folder), processes_for(kind, len(data.rows))
    with bar(f"{kind.name}: fit", n_fits(data.folds)) as advance:
        tables = cross_validate(data, fit, params.seed, advance, processes)._asdict()
    # Figures of few articles speak of these alone: then what definitions teach is to decide.
    by_paragraph = files.read_json(SPLIT, "stage split")["split_unit"] == "paragraph"
    if params.topics.descriptions and by_paragraph:
        tables["definitions"] = score_by_definitions(data, fit, params.seed)
    return tables | {"apart": score_apart(data, fit, params.seed)}


def _read_by_fits(kind: Kind, params: Params) -> dict[str, str]:
    """What fits depend on, in words, and a digest of each."""
    answers = read_answer_rows(ANSWERS).drop(columns=OF_DRAWS).to_json()
    code = files.read_json(INSTALLED, "stage installed")["score"][kind.name]
    values = {
        "texts": files.md5(PARAGRAPHS),
        "labels": answers,
        "folds": files.md5(FOLDS) + files.md5(SPLIT),
        "topics": params.topics,
        f"{kind.name} in params.yaml": params.section(kind.name),
        "seed": params.seed,
        "paratopic": code,
        "libraries": [metadata.version(name) for name in LIBRARIES],
    }
    return {part: sha256(repr(value).encode()).hexdigest() for part, value in values.items()}
