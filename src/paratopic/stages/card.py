"""Stage card@MODEL: the card of the model, which `paratopic pack` and MLflow add to the model."""

from __future__ import annotations

import sys

from paratopic.corpus.table import labelled_rows, read_paragraphs
from paratopic.evaluation.card import Shipped, example_text, render_card
from paratopic.inference.folder import card_mark
from paratopic.inference.loading import load
from paratopic.project import errors, files
from paratopic.project.kinds import KINDS
from paratopic.project.params import read_params
from paratopic.project.paths import FINAL, MODEL_CARD, MODEL_REPORTS, MODELS, PARAGRAPHS


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    model = load(MODELS / name)
    final = files.read_json(MODEL_REPORTS / name / FINAL, "stage train")
    shipped = Shipped(
        KINDS[name],
        model.calibration,
        model.predict(example_text(params.topics)),
        card_mark(MODELS / name),
        n_unlabelled=final["n_unlabelled"],
        encoder=getattr(params.section(name), "encoder", None),
        parity=final["parity"],
        notes=final["notes"],
        license=params.license,
        language=params.language,
    )
    rows = labelled_rows(read_paragraphs(PARAGRAPHS), params.topics)
    report = files.read_json(MODEL_REPORTS / name / "metrics.json", "stage evaluate")
    card = render_card(shipped, params.topics, rows, report)
    files.write_text(MODEL_REPORTS / name / MODEL_CARD, card)
    print(f"{name}: card in {MODEL_REPORTS / name / MODEL_CARD}")


if __name__ == "__main__":
    errors.run(main)
