"""Stage train@MODEL: the final model, fitted to every label."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

from paratopic.inference.calibration import read_calibration
from paratopic.project import files
from paratopic.project.errors import plural
from paratopic.project.files import CHECKPOINTS, FINAL, MODEL_REPORTS, MODELS, SCORES
from paratopic.project.kinds import KINDS
from paratopic.project.languages import count_languages, learnt, others
from paratopic.project.params import read_params, run_stage
from paratopic.project.terminal import bar
from paratopic.training.crossval import fit_all, fitter, is_first_process, labelled_for


def languages_of(
    labelled: Sequence[str], definitions: Sequence[str], read: Sequence[str]
) -> tuple[Sequence[str], str]:
    """Say which languages a model is for, and which texts it cannot read.

    Parameters
    ----------
    labelled, definitions
        Labelled texts; where there are none, models learn from the topics' definitions.
    read
        Codes of the languages that the model's encoder reads; empty where they are not known.

    Returns
    -------
    languages
        Codes of the languages: those of the encoder, or those of the texts.
    note
        What there is to say about texts in others, or "".
    """
    counts = count_languages(labelled or definitions)
    what = "labelled paragraphs" if labelled else "definitions"
    unread = others(counts, read, what, "the encoder reads")
    note = f"{unread}: set transformer.encoder to one that reads them" if unread else ""
    return read or learnt(counts), note


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params, kind = read_params(), KINDS[name]
    calibration = read_calibration(
        files.read_json(SCORES / name / "calibration.json", "stage score")
    )
    checkpoints = CHECKPOINTS / name
    fit, data = fitter(kind, params, checkpoints), labelled_for(kind, params)
    started = time.monotonic()
    with bar(f"{name}: final fit", 1) as advance:
        model = fit_all(data, fit, params.seed, advance)
    if not is_first_process():
        return
    read = getattr(params.section(name), "languages", ())
    languages, unread = languages_of(list(data.rows["text"]), params.topics.descriptions, read)
    with files.aside(MODELS / name) as draft:
        parity = model.save(draft, calibration, languages)
    notes = [*model.notes, *filter(None, [unread])]
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
    shutil.rmtree(checkpoints, ignore_errors=True)
    seconds = time.monotonic() - started
    for note in notes:
        print(f"note: {note}")
    labelled = plural(n_labelled, "labelled paragraph")
    print(
        f"{name}: trained on {labelled} and {n_unlabelled:,} without a label in {seconds:.0f} s, "
        f"saved in {MODELS / name}"
    )


if __name__ == "__main__":
    run_stage(main)
