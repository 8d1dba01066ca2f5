"""Stage train@MODEL: the final model, fitted to every label."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

from paratopic.inference.calibration import read_calibration
from paratopic.project import errors, files
from paratopic.project.kinds import KINDS
from paratopic.project.params import read_params
from paratopic.project.paths import FINAL, MODEL_REPORTS, MODELS, SCORES
from paratopic.project.progress import bar
from paratopic.training.crossval import fit_all, is_first_process
from paratopic.training.fitting import fitter, labelled_for


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params, kind = read_params(), KINDS[name]
    calibration = read_calibration(
        files.read_json(SCORES / name / "calibration.json", "stage score")
    )
    fit, data = fitter(kind, params), labelled_for(kind, params)
    started = time.monotonic()
    with bar(f"{name}: final fit", 1) as advance:
        model = fit_all(data, fit, params.seed, advance)
    if not is_first_process():
        return
    with files.aside(MODELS / name) as draft:
        parity = model.save(draft, calibration)
    # Without labels nothing says what the others are about.
    n_labelled, pool = len(data.rows), data.pool
    n_unlabelled = len(pool.texts) if pool is not None and n_labelled else 0
    size = sum(path.stat().st_size for path in (MODELS / name).rglob("*") if path.is_file())
    final = {
        "n_labelled": n_labelled,
        "n_unlabelled": n_unlabelled,
        "size": size,
        "parity": parity,
        "context": asdict(model.context),
        "notes": list(model.notes),
    }
    files.write_csv(MODEL_REPORTS / name / "final.csv", model.history)
    files.write_json(MODEL_REPORTS / name / FINAL, final)
    seconds = time.monotonic() - started
    for note in model.notes:
        print(f"note: {note}")
    print(
        f"{name}: trained on {n_labelled} labelled paragraphs and {n_unlabelled} without a label "
        f"in {seconds:.0f} s, saved in {MODELS / name}"
    )


if __name__ == "__main__":
    errors.run(main)
