"""A model's folder: what is saved is what is loaded, and a damaged or foreign folder is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paratopic.inference.folder import Calibration
from paratopic.inference.loading import load
from paratopic.inference.modes import mode_of
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from paratopic.training.calibration import apply_calibration
from paratopic.training.examples import Fitted
from paratopic.transformer import quantise
from tests.samples import TARIFF, examples, fit

MANIFEST = """
{"format": %d, "kind": "%s", "settings": {}, "calibration": {},
 "topics": {"mode": "single", "codebook": []}, "files": {}}
"""


def test_a_loaded_model_answers_as_the_one_in_memory(
    trained: tuple[Fitted, Path], rows: pd.DataFrame, topics: Topics
) -> None:
    assert topics.descriptions  # the similarity to the nearest one is saved too
    model, folder = trained
    loaded = load(folder)
    texts = [*rows["text"], "tariff " * 300, "☃ unheard-of"]
    assert loaded.classes_ == model.classes_ == topics.names
    assert loaded.definitions == {topic.name: topic.definition for topic in topics.topics}
    tolerance = quantise.INT8_GAP if loaded.kind == "transformer" else 1e-15
    np.testing.assert_allclose(
        loaded.predict_proba(texts), model.predict_proba(texts), rtol=0, atol=tolerance
    )


def test_the_same_seed_gives_the_same_bytes(
    trained: tuple[Fitted, Path],
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path: Path,
) -> None:
    folder = trained[1]
    fit(folder.name, examples(rows, topics.names), topics, tiny_encoder).save(
        tmp_path / "again", Calibration()
    )
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        again = tmp_path / "again" / path.relative_to(folder)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_calibration_and_the_threshold_of_sure_predictions_are_saved_with_the_model(
    rows: pd.DataFrame, topics: Topics, tiny_encoder: Path, tmp_path: Path
) -> None:
    model = fit("baseline", examples(rows, topics.names), topics, tiny_encoder)
    texts = ["A tariff on goods.", "The talks of both sides.", TARIFF]
    raw = model.predict_proba(texts)
    halved = Calibration(scale=(0.5,) * 4)
    model.save(tmp_path / "model", replace(halved, thresholds=(0.9999,)))
    loaded = load(tmp_path / "model")
    np.testing.assert_allclose(
        loaded.predict_proba(texts), apply_calibration(raw, halved, mode_of("single"))
    )
    confidence = loaded.predict_proba(texts).max(axis=1)
    predicted = (confidence >= 0.5).tolist()
    assert predicted == [True, False, True]
    assert [answer.topic is not None for answer in loaded.predict(texts)] == predicted
    assert [answer.sure for answer in loaded.predict(texts)] == [False] * 3
    model.save(tmp_path / "model", replace(halved, thresholds=(confidence.max(),)))
    answers = load(tmp_path / "model").predict(texts)
    assert [answer.topic is not None for answer in answers] == predicted
    assert [answer.sure for answer in answers] == (confidence == confidence.max()).tolist()


def test_a_missing_or_changed_file_is_reported_by_name(
    trained: tuple[Fitted, Path], tmp_path: Path
) -> None:
    whole = trained[1]
    files = json.loads((whole / "paratopic.json").read_text())["files"]
    for name in files:
        broken = tmp_path / f"without {name}"
        shutil.copytree(whole, broken)
        (broken / name).unlink()
        with pytest.raises(UserError, match=f"lacks {name}"):
            load(broken)
        content = bytearray((whole / name).read_bytes())
        content[len(content) // 2] ^= 1
        (broken / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is damaged"):
            load(broken)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "has no paratopic.json"),
        ("{", "damaged, or not the manifest"),
        ("{}", "damaged, or not the manifest"),
        ("[]", "damaged, or not the manifest"),
        (MANIFEST % (99, "baseline"), "format 99"),
        (MANIFEST % (5, "baseline"), "format 5"),
        (MANIFEST % (3, "forest"), "kind 'forest'"),
    ],
)
def test_a_folder_that_is_not_a_model_is_refused(
    tmp_path: Path, manifest: str | None, message: str
) -> None:
    if manifest is not None:
        (tmp_path / "paratopic.json").write_text(manifest)
    with pytest.raises(UserError, match=message):
        load(tmp_path)
