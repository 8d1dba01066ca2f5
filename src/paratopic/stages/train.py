"""Stage train@MODEL: the final model, fitted to every label."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

from paratopic.inference.calibration import read_calibration
from paratopic.inference.folder import MANIFEST
from paratopic.project import files
from paratopic.project.errors import plural
from paratopic.project.files import FINAL, FITS, MODEL_REPORTS, MODELS, SCORES
from paratopic.project.kinds import KINDS
from paratopic.project.params import read_params, run_stage
from paratopic.project.terminal import bar
from paratopic.training.crossval import (
    fit_all,
    fitter,
    keep_alone,
    kept_folder,
    labelled_for,
    what_fits_read,
)


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params, kind = read_params(), KINDS[name]
    calibration = read_calibration(
        files.read_json(SCORES / name / "calibration.json", "stage score")
    )
    checkpoints = kept_folder("train", kind, what_fits_read(kind, params))
    fit, data = fitter(kind, params, checkpoints), labelled_for(kind, params)
    is_whole, started = not checkpoints.exists(), time.monotonic()
    with bar(f"{name}: final fit", 1) as advance:
        model = fit_all(data, fit, params.seed, advance)
    audience = model.audience(list(data.rows["text"]))
    parity = model.save(MODELS / name, calibration, audience.codes)
    notes = [*model.notes, *filter(None, [audience.note])]
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
        "notes": notes,
    }
    files.write_csv(MODEL_REPORTS / name / "final.csv", model.history)
    files.write_json(MODEL_REPORTS / name / FINAL, final)
    keep_alone(checkpoints)  # where calibration alone changes, the encoder is not tuned again
    seconds = time.monotonic() - started
    if is_whole:  # for stage track
        written = files.read_json(MODELS / name / MANIFEST, "stage train")["files"]
        files.write_json(checkpoints / FITS, {"files": written, "seconds": seconds})
    for note in notes:
        print(f"note: {note}")
    labelled = plural(n_labelled, "labelled text")
    others = f" and {n_unlabelled:,} without a label" if n_unlabelled else ""
    print(f"{name}: trained on {labelled}{others} in {seconds:.0f} s, saved in {MODELS / name}")


if __name__ == "__main__":
    run_stage(main)
