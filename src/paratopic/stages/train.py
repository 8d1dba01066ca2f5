"""Stage train@MODEL: the final model, fitted to every label, and its card."""

from __future__ import annotations

import sys
import time

from paratopic.corpus.table import labelled_rows, read_paragraphs, read_parquet
from paratopic.evaluation import card
from paratopic.inference.folder import CARD, digest_of, read_calibration
from paratopic.inference.loading import load
from paratopic.project import errors, files
from paratopic.project.params import read_params
from paratopic.project.paths import FOLDS, MODELS, PARAGRAPHS, REPORTS, SCORES, USAGE
from paratopic.project.progress import bar
from paratopic.stages.fitting import fitter, pool_for
from paratopic.training.crossval import Labelled, fit_all, is_first_process
from paratopic.training.usage import sampled


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    topics, section = params.topics, getattr(params, name)
    frame = read_paragraphs(PARAGRAPHS)
    rows = labelled_rows(frame, topics)
    pool = pool_for(name, frame, rows, params)
    data = Labelled(rows, topics.names, read_parquet(FOLDS), pool)
    calibration = read_calibration(
        files.read_json(SCORES / name / "calibration.json", "stage score")
    )
    report = files.read_json(REPORTS / name / "metrics.json", "stage evaluate")
    fit = fitter(name, topics, section)
    started = time.monotonic()
    with bar(f"{name}: final fit", 1) as advance, sampled() as usage:
        model = fit_all(data, fit, params.seed, advance)
    if not is_first_process():
        return
    # Without labels nothing says what the others are about.
    n_unlabelled = len(pool.texts) if pool is not None and len(rows) else 0
    with files.aside(MODELS / name) as draft:
        parity = model.save(draft, calibration)
        encoder = getattr(section, "encoder", None)
        answer = load(draft).predict(card.example_text(topics))
        text = card.render(
            *(name, encoder, topics, calibration, rows, n_unlabelled, report, parity),
            *(params.license, answer),
        )
        files.write_text(draft / CARD, text)
    files.write_csv(REPORTS / name / "final.csv", model.history)
    files.write_json(REPORTS / name / "parity.json", parity)
    files.write_json(REPORTS / name / USAGE, {"model": digest_of(MODELS / name), "samples": usage})
    learnt_from = f"{len(rows)} labelled paragraphs and {n_unlabelled} without a label"
    seconds = time.monotonic() - started
    for note in model.notes:
        print(f"note: {note}")
    print(f"{name}: trained on {learnt_from} in {seconds:.0f} s, saved in {MODELS / name}")


if __name__ == "__main__":
    errors.run(main)
