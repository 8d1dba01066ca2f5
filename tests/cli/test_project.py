"""What the commands say of results that are not those of the last `dvc repro`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from paratopic.cli.project import changes_since
from paratopic.inference.folder import MANIFEST, card_mark
from paratopic.project.files import (
    LOCK,
    MODEL_CARD,
    MODEL_REPORTS,
    MODELS,
    PREPARED,
    SCORES,
    md5,
    write_text,
)
from tests.samples import PARAMS

MODEL, METRICS = MODELS / "baseline", MODEL_REPORTS / "baseline" / "metrics.json"
HISTORY = SCORES / "baseline" / "history.csv"
DIGEST = "724385bbcc4e6f999cb26f12c5e14e5d.dir"  # of data/oof with this file, as DVC writes it


@pytest.mark.parametrize(
    ("written", "changed"), [(HISTORY, SCORES), (METRICS, METRICS), (MODEL / MANIFEST, MODEL)]
)
def test_results_that_dvc_lock_does_not_have_are_named(
    here: Path, baseline_folder: Path, written: Path, changed: Path
) -> None:
    shutil.copytree(baseline_folder, MODEL)
    ((key, digest),) = card_mark(MODEL).items()
    write_text(METRICS.with_name(MODEL_CARD), f"---\n{key}: {digest}\n---\n")
    for path in (PREPARED, HISTORY, METRICS, SCORES / ".baseline.7.draft"):
        write_text(path, "{}\n")
    stages = {
        "compare": {"deps": [{"path": str(SCORES), "md5": DIGEST}]},
        "evaluate@baseline": {"outs": [{"path": str(METRICS), "md5": md5(METRICS)}]},
    }
    write_text(LOCK, json.dumps({"stages": stages}))
    assert changes_since(PARAMS, "baseline") == ""
    write_text(written, "{ }\n")  # by a `dvc repro` that was interrupted, or from a backup
    assert changes_since(PARAMS, "baseline") == str(changed)
