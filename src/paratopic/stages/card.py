"""Stage card@MODEL: the model card, which `paratopic publish` and MLflow add to the model."""

from __future__ import annotations

from paratopic.corpus.labelled import read_labelled
from paratopic.evaluation.model_report import Metrics
from paratopic.findings.card import render_card
from paratopic.inference.model import load
from paratopic.project import files
from paratopic.project.files import FINAL, MODEL_CARD
from paratopic.project.folder import Project, run_stage
from paratopic.project.reports import Final


def main(project: Project, name: str) -> None:
    """Write the card of models/NAME; UserError if its metrics are of another mode or codebook."""
    params, paths = project.fit_params, project.paths
    reports = paths.model_reports / name
    final = Final.load(reports / FINAL, "stage train")
    path = reports / "metrics.json"
    report = Metrics.load(path, "stage evaluate")
    # Before the first label, the report has no topics.
    measured_topics = report.topics or params.topics.names
    if report.mode != params.topics.mode or {*measured_topics} != {*params.topics.names}:
        raise files.outdated_error(path)
    data = read_labelled(paths, params.topics)
    card = render_card(load(paths.models / name), params, data, final, report)
    files.write_text(reports / MODEL_CARD, card)
    print(f"{name}: card in {reports / MODEL_CARD}")


if __name__ == "__main__":
    run_stage(main)
