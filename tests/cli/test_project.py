"""What the commands say of results that are not those of the last `dvc repro`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from paratopic.cli.project import changes_since
from paratopic.inference.folder import MANIFEST, card_mark
from paratopic.project.files import md5, write_json, write_text
from paratopic.project.paths import LOCK, MODEL_CARD, MODEL_REPORTS, MODELS, PREPARED, SCORES
from tests.samples import PARAMS

METRICS = MODEL_REPORTS / "baseline" / "metrics.json"
HISTORY = SCORES / "baseline" / "history.csv"


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        (HISTORY, SCORES),  # by an interrupted `dvc repro`, or a backup that was put back
        (METRICS, METRICS),
        (MODELS / "baseline" / MANIFEST, MODELS / "baseline"),
    ],
)
def test_results_that_dvc_lock_does_not_have_are_named(
    here: Path, baseline_folder: Path, written: Path, changed: Path
) -> None:
    shutil.copytree(baseline_folder, MODELS / "baseline")
    ((key, digest),) = card_mark(MODELS / "baseline").items()
    write_text(METRICS.with_name(MODEL_CARD), f"---\n{key}: {digest}\n---\n")
    for path in (HISTORY, METRICS):
        write_text(path, "{}\n")
    write_json(PREPARED, {})
    # As `dvc add data/oof` has it, though a killed process left a draft.
    write_text(SCORES / ".baseline.7.draft", "")
    stages = {
        "compare": {"deps": [{"path": str(SCORES), "md5": "724385bbcc4e6f999cb26f12c5e14e5d.dir"}]},
        "evaluate@baseline": {"outs": [{"path": str(METRICS), "md5": md5(METRICS)}]},
    }
    write_text(LOCK, json.dumps({"stages": stages}))
    assert changes_since(PARAMS, "baseline") == ""
    write_text(written, "{ }\n")
    assert changes_since(PARAMS, "baseline") == str(changed)
