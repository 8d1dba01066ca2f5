"""Stage train@MODEL: the final fit, to all labels."""

from __future__ import annotations

from dataclasses import asdict

from paratopic.project import files
from paratopic.project.errors import plural
from paratopic.project.files import FINAL
from paratopic.project.folder import Project, run_stage
from paratopic.project.reports import Final, Timer
from paratopic.project.terminal import progress_bar
from paratopic.training.crossval import fit_all, fitter, labelled_for


def main(project: Project, name: str) -> None:
    """Fit a kind of model to all labels; write it to data/final/NAME, and reports on the fit."""
    params, paths, timer = project.fit_params, project.paths, Timer()
    data = labelled_for(name, paths, params)
    with progress_bar(f"{name}: final fit", 1) as advance:
        model = fit_all(data, fitter(name, params), params.seed, advance)
    audience, folder = model.audience(list(data.rows["text"])), paths.final_fits / name
    with files.atomic_write(folder) as draft:
        draft.mkdir()
        parity = model.write_fit(draft, audience.codes)
    notes = [*model.notes, *filter(None, [audience.note])]
    # The pool weighs as much as the labels, so without labels it is not trained on.
    n_labelled, pool = len(data.rows), data.pool
    n_unlabelled = len(pool.texts) if pool is not None and n_labelled else 0
    final = Final(
        n_labelled=n_labelled,
        n_unlabelled=n_unlabelled,
        size=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        parity=parity,
        context=asdict(model.context),
        notes=tuple(notes),
    )
    files.write_csv(paths.model_reports / name / "final.csv", model.history)
    final.save(paths.model_reports / name / FINAL)
    timer.save(paths.times, f"train@{name}", fit=files.folder_digest(folder))
    for note in notes:
        print(f"note: {note}")
    labelled = plural(n_labelled, "labelled text")
    unlabelled = f" and {n_unlabelled:,} without a label" if n_unlabelled else ""
    print(f"{name}: trained on {labelled}{unlabelled} in {timer.seconds:.0f} s")


if __name__ == "__main__":
    run_stage(main)
