"""Stage card@MODEL: the card of the model, which `paratopic publish` and MLflow add to it."""

from __future__ import annotations

import sys

from paratopic.corpus.labelled import read_labelled
from paratopic.evaluation.report import Metrics
from paratopic.findings.card import render_card
from paratopic.inference.model import load
from paratopic.project import files
from paratopic.project.files import FINAL, MODEL_CARD, MODEL_REPORTS, MODELS
from paratopic.project.params import read_params, run_stage
from paratopic.project.reports import Final


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    final = Final.load(MODEL_REPORTS / name / FINAL, "stage train")
    path = MODEL_REPORTS / name / "metrics.json"
    report = Metrics.load(path, "stage evaluate")
    measured = report.topics or params.topics.names  # there are none before the first label
    if report.mode != params.topics.mode or {*measured} != {*params.topics.names}:
        raise files.outdated(path)
    data = read_labelled(params.topics)
    card = render_card(load(MODELS / name), params, data, final, report)
    files.write_text(MODEL_REPORTS / name / MODEL_CARD, card)
    print(f"{name}: card in {MODEL_REPORTS / name / MODEL_CARD}")


if __name__ == "__main__":
    run_stage(main)
