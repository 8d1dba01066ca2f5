"""A third kind of model is one entry and its own modules: the pipeline runs with it to the end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.programs import ROOT, runs, sh

FOLDER = ROOT / "tests" / "third_kind"


def test_three_kinds_go_through_the_whole_pipeline(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    params = (copy / "params.yaml").read_text(encoding="utf-8")
    params = re.sub(r"(?m)^models: .*", "models: [baseline, transformer, nearest]", params)
    params += "\nnearest:\n  slope: 20\n"
    (copy / "params.yaml").write_text(params, encoding="utf-8")
    output = sh(copy, "dvc", "repro", PYTHONPATH=str(FOLDER))
    # The other two stay the same, except for the comparison.
    assert not re.search(r"Running stage '(fit|calibrate|train|evaluate|card)@(base|trans)", output)
    comparison = json.loads((copy / "reports/comparison.json").read_text())
    assert list(comparison["models"]) == ["dummy", "nearest", "baseline", "transformer"]
    assert len(comparison["differences"]) == 6
    assert comparison["models"]["nearest"]["macro_f1"]["value"] > 0.2
    page = (copy / "reports/index.html").read_text(encoding="utf-8")
    for text in (
        "nearest definition by TF-IDF",
        "It has nothing to learn.",
        "nearest: labels teach it nothing",
        "--nearest: #2e7d32",
        "--nearest: #7bd88f",
    ):
        assert text in page
    names = {name.partition(" ")[0] for name in runs(copy)}
    assert names == {"nearest", "baseline", "transformer"}
    card = (copy / "reports/models/nearest/card.md").read_text(encoding="utf-8")
    assert "Topics of paragraphs: nearest" in card and "torch" not in card
    article = "seeds/us-china-talks-madrid-2025-09-15.txt"
    words = ("paratopic", "predict", "--json", "--model", "models/nearest", article)
    prediction = json.loads(sh(copy, *words, PYTHONPATH=str(FOLDER)).splitlines()[0])
    assert sum(prediction["scores"].values()) < 1
    # Params without the kind's section are refused, and the message names the section.
    (copy / "params.yaml").write_text(params.replace("nearest:\n", "near:\n"), encoding="utf-8")
    refused = sh(copy, "dvc", "repro", "prepare", fails=True, PYTHONPATH=str(FOLDER))
    assert 'near: unknown key (did you mean "nearest"?)' in refused
