"""Stage report: everything that was measured, as one page to read and to send.

Sections that need the champion to be loaded are left out: `paratopic report --open` adds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paratopic.corpus.labelled import labelled_in, read_labelled_paragraphs
from paratopic.evaluation.report import ModelReport
from paratopic.findings.page import render_page
from paratopic.findings.review import rank_doubtful, read_scores
from paratopic.project import files
from paratopic.project.files import COMPARISON, FINAL, MODEL_REPORTS, PAGE, PREPARED, SPLIT
from paratopic.project.params import Params, read_params, run_stage

# Columns whose cells are texts, also where they look like numbers, or are words like "null".
TEXTS = dict.fromkeys(("id", "article", "heading", "text", "answer", "label"), str)
# Name of a table with such columns, or without them → how it is read.
TABLES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("predictions", "confusion"), {"keep_default_na": False, "dtype": TEXTS}),
    **dict.fromkeys(("reliability", "risk", "training", "final"), {}),
}


def main() -> None:
    """Run the stage in the current directory."""
    files.write_text(PAGE, page(read_params()))
    print(f"{PAGE}: {PAGE.stat().st_size / 1000:.0f} kB")


def page(params: Params, on_request: Mapping[str, Any] | None = None) -> str:
    """Make the page of what other stages wrote in the current directory."""
    frame = read_labelled_paragraphs()
    rows, scores = read_scores(labelled_in(frame, params.topics), params.models)
    return render_page(
        params.topics,
        files.read_json(PREPARED, "`dvc repro`"),
        files.read_json(SPLIT, "`dvc repro`"),
        files.read_json(COMPARISON, "`dvc repro`"),
        [read_report(name) for name in params.models],
        frame,
        rank_doubtful(rows, scores, params.topics),
        on_request,
    )


def read_report(name: str) -> ModelReport:
    """Read what stages evaluate and train wrote of a model.

    Raises
    ------
    UserError
        A file is missing or damaged.
    """
    folder = MODEL_REPORTS / name
    return ModelReport(
        name,
        files.read_json(folder / FINAL, "`dvc repro`"),
        files.read_json(folder / "metrics.json", "`dvc repro`"),
        {
            table: files.read_csv(folder / f"{table}.csv", "`dvc repro`", **options)
            for table, options in TABLES.items()
        },
    )


if __name__ == "__main__":
    run_stage(main)
