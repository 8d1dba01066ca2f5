"""A model's folder: a loaded model equals the saved one, and damaged folders are refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from paratopic.inference.manifest import CARD, prediction_files
from paratopic.inference.manifest import MANIFEST as MANIFEST_NAME
from paratopic.inference.model import load
from paratopic.inference.modes import Calibration
from paratopic.project.errors import UserError
from paratopic.project.files import sha256
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from tests.documents import altered
from tests.inference.conftest import Make
from tests.programs import Cli
from tests.reading.test_any_bytes import damaged
from tests.samples import CONTEXT_WEIGHTS, KINDS, TARIFF, fit, passages_in_articles

MANIFEST = b"""
{"format": %d, "kind": "%s", "settings": {}, "calibration": {},
 "topics": {"mode": "single", "codebook": []}, "files": {}}
"""


DAMAGED = [b"", b"{", b"{}", b"[]", b"[" * 1_000_000, b"<html>", b"\xff\xfe{"]


def test_a_published_model_has_only_files_of_prediction(
    saved: Path, tmp_path: Path, cli: Cli
) -> None:
    folder = tmp_path / "saved"
    shutil.copytree(saved, folder)
    (folder / CARD).write_text("# A card")
    out = tmp_path / "copy"
    words = ("publish", "model", "--model", folder, "--to", out, "--yes")
    assert f"To the folder {out}:" in cli(*words).out
    names = {path.name for path in out.iterdir()}
    assert names == {*prediction_files(saved.name), CARD}
    texts = [TARIFF, "tariff " * 300, "", "☃ unheard-of"]
    assert load(out).predict(texts) == load(folder).predict(texts)
    for name in names:
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    assert "copy exists already; name another folder" in cli(*words, status=1).out


@pytest.mark.parametrize("options", [(None,), (CONTEXT_WEIGHTS,), (CONTEXT_WEIGHTS, "multi")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_predicts_as_the_one_in_memory(
    kind: str, options: tuple[Any, ...], make: Make, rows: pd.DataFrame, topics: Topics
) -> None:
    assert topics.descriptions  # with these, a head also has subjects
    model, folder = make(kind, *options)
    loaded = load(folder)
    passages, long = passages_in_articles(rows), "tariff " * 300
    texts = [*rows["text"], *passages, long, replace(passages[0], text=long), "☃ unheard-of"]
    assert loaded.classes_ == model.classes_ == topics.names
    assert loaded.definitions == {topic.name: topic.definition for topic in topics.topics}
    # Rounding to 8 bits may differ between both.
    tolerance = 0.01 if loaded.kind == "transformer" else 1e-15
    expected = model.predict_proba(numbered(texts))
    np.testing.assert_allclose(loaded.predict_proba(texts), expected, rtol=0, atol=tolerance)


def test_the_same_seed_gives_the_same_bytes(
    data: Examples, saved: Path, topics: Topics, tiny_encoder: Path, tmp_path: Path
) -> None:
    fit(saved.name, data, topics, tiny_encoder).save(tmp_path / "again", Calibration())
    for path in sorted(p for p in saved.rglob("*") if p.is_file()):
        again = tmp_path / "again" / path.relative_to(saved)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_all_files_of_a_model_have_the_same_permissions(saved: Path) -> None:
    modes = {path.name: path.stat().st_mode for path in saved.rglob("*") if path.is_file()}
    assert set(modes.values()) == {modes[MANIFEST_NAME]}


def test_a_missing_or_changed_file_is_named(saved: Path, tmp_path: Path) -> None:
    files = json.loads((saved / "paratopic.json").read_text())["files"]
    for name in files:
        broken = tmp_path / f"without {name}"
        shutil.copytree(saved, broken)
        (broken / name).unlink()
        with pytest.raises(UserError, match=f"lacks {name}"):
            load(broken)
        content = bytearray((saved / name).read_bytes())
        content[len(content) // 2] ^= 1
        (broken / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is damaged"):
            load(broken)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "has no paratopic.json"),
        *((text, "damaged, or not the manifest") for text in DAMAGED),
        (MANIFEST % (5, b"baseline"), "format 5"),
        (MANIFEST % (3, b"forest"), "kind 'forest'"),
    ],
)
def test_a_folder_without_a_model_is_refused(
    tmp_path: Path, manifest: bytes | None, message: str
) -> None:
    if manifest is not None:
        (tmp_path / "paratopic.json").write_bytes(manifest)
    with pytest.raises(UserError, match=message):
        load(tmp_path)


Manifest = dict[str, Any]


def setting(*keys: str, to: Any) -> Callable[[Manifest], None]:
    """Function that sets an entry of a manifest."""

    def change(manifest: Manifest) -> None:
        *parents, last = keys
        for key in parents:
            manifest = manifest[key]
        manifest[last] = to

    return change


def calibration(**changes: Any) -> dict[str, Any]:
    """A calibration in the format of a manifest."""
    return asdict(Calibration()) | changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting("files", to={}), "not those that prediction reads"),
        (setting("files", "../secret.txt", to="0"), r"'../secret.txt'\], .* not those"),
        (setting("kind", to=["baseline"]), "damaged, or not the manifest"),
        (setting("settings", to=None), "cannot be loaded as a"),
        (setting("topics", "codebook", to=[]), "at least two topics"),
        (setting("topics", "mode", to="other"), "topics.mode is 'other'"),
        (setting("languages", to=["xx"]), r"languages are \('xx',\)"),
        (setting("calibration", "thresholds", to=[]), "0 numbers as thresholds"),
        (setting("calibration", "thresholds", to=[float("nan")]), "finite"),
        (setting("calibration", "sure", to=float("inf")), "finite"),
        (setting("calibration", "scale", to=[1e308]), "too large"),
        (setting("calibration", "scale", to=[0.0]), "paratopic.json is damaged.* not positive"),
        (setting("calibration", "without_context", to=calibration(scale=[-2.0])), "not positive"),
        (setting("calibration", "without_context", to=calibration(scale=[float("inf")])), "finite"),
        (
            setting("calibration", "without_context", to=calibration(shift=[0.0] * 7)),
            "7 numbers as shift",
        ),
        (
            setting("calibration", "without_context", to=calibration(shares=[0.5, 0.5, 2.0, 0.1])),
            "a share is not",
        ),
        (setting("calibration", "shares", to=[0.5, 0.5, -0.1, 0.1]), "a share is not"),
        (
            setting("calibration", "without_context", to=calibration(scale=["x"])),
            "damaged, or not the manifest",
        ),
        (setting("settings", "context", "neighbours", to=1.5), "weight of neighbours is 1.5"),
        (setting("settings", "context", "title", to=float("nan")), "weight of title is nan"),
        (setting("settings", "context", "title", to=True), "weight of title is True"),
        (setting("settings", "context", "other", to=0.5), "cannot be loaded as a"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    saved: Path, tmp_path: Path, change: Callable[[Manifest], object], message: str
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(UserError, match=message):
        load(altered(saved, tmp_path / "model", change))


@pytest.mark.parametrize("ngram_range", [[1, 10**9], [0, 1], [2, 1], [1, 2.5], "12", [1]])
def test_a_baseline_with_ngrams_out_of_bounds_is_refused(
    baseline_folder: Path, tmp_path: Path, ngram_range: object
) -> None:
    change = setting("settings", "features", "words", "ngram_range", to=ngram_range)
    with pytest.raises(UserError, match="cannot be loaded as a baseline.*train the model again"):
        load(altered(baseline_folder, tmp_path / "model", change))


@pytest.mark.parametrize("trained", ["transformer"], indirect=True)
def test_the_length_of_windows_is_checked(saved: Path, tmp_path: Path) -> None:
    for wrong in (-1, 1.5, float("nan"), None, "x", True, 2**31):
        change = setting("settings", "max_tokens", to=wrong)
        with pytest.raises(UserError, match=f"max_tokens is {wrong}"):
            load(altered(saved, tmp_path / str(wrong), change))


def test_a_named_pipe_is_refused(baseline_folder: Path, tmp_path: Path) -> None:
    for name, message in ((MANIFEST_NAME, "has no"), ("head.safetensors", "lacks")):
        folder = tmp_path / name
        shutil.copytree(baseline_folder, folder)
        (folder / name).unlink()
        os.mkfifo(folder / name)  # a program that opened it would wait for ever
        with pytest.raises(UserError, match=f"{message} {name}"):
            load(folder)


Weights = dict[str, npt.NDArray[np.float64]]


def repacked(folder: Path, copy: Path, name: str, change: Callable[[Path], object]) -> Path:
    """Copy a model's folder, and change one file and its checksum."""
    shutil.copytree(folder, copy)
    change(copy / name)
    correct_checksum(copy, name)
    return copy


def correct_checksum(folder: Path, name: str) -> None:
    manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    manifest["files"][name] = sha256(folder / name)
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest), encoding="utf-8")


def not_a_number(weights: Weights) -> None:
    weights["coef"][0, 0] = np.nan


def no_intercepts(weights: Weights) -> None:
    weights["intercept"][:] = np.nan


def without_first(axis: int, *names: str) -> Callable[[Weights], None]:
    """Function that removes the first topic, term or dimension from some weights."""

    def spoil(weights: Weights) -> None:
        for name in names:
            weights[name] = np.delete(weights[name], 0, axis)

    return spoil


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("head.safetensors", not_a_number),
        ("head.safetensors", without_first(0, "coef", "slope", "intercept")),
        ("head.safetensors", without_first(1, "coef", "subjects")),
        ("head.safetensors", without_first(1, "subjects")),
        ("head.safetensors", no_intercepts),
        ("idf.safetensors", without_first(0, "words")),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    baseline_folder: Path, tmp_path: Path, name: str, spoil: Callable[[Weights], None]
) -> None:
    def change(path: Path) -> None:
        weights: Weights = load_file(path)
        spoil(weights)
        save_file(weights, path)

    folder = repacked(baseline_folder, tmp_path / "model", name, change)
    with pytest.raises(UserError, match=r"cannot be loaded as a baseline"):
        load(folder)


def test_a_vocabulary_that_lacks_a_term_is_refused(baseline_folder: Path, tmp_path: Path) -> None:
    def change(path: Path) -> None:
        terms: dict[str, list[Any]] = json.loads(path.read_text(encoding="utf-8"))
        terms["words"].pop()
        path.write_text(json.dumps(terms), encoding="utf-8")

    folder = repacked(baseline_folder, tmp_path / "model", "vocabulary.json", change)
    with pytest.raises(UserError, match=r"do not fit"):
        load(folder)


# Pieces that damage files of a model.
JSON_PIECES = [b"[", b"{", b'"', b"null", b"1e999", b"\\ud800", b"NaN", b"[" * 2000, b'{"a":1},']
WEIGHT_PIECES = [b"\x00" * 8, b"\xff" * 8, b"\x7f", b'"F64"', b'"F32"', b"[1,", b"999999999", b"{}"]


def load_damaged(folder: Path, name: str, data: bytes) -> str:
    """Load a model while one of its files has other content; return whether it was refused."""
    original = {path: (folder / path).read_bytes() for path in (name, MANIFEST_NAME)}
    (folder / name).write_bytes(data)
    correct_checksum(folder, name)
    try:
        load(folder).predict("Talks on trade.")
    except UserError as error:
        assert str(folder) in str(error)
        return f"{name} refused"
    finally:
        for path, content in original.items():
            (folder / path).write_bytes(content)
    return f"{name} read"


@st.composite
def one_damaged(draw: st.DrawFn, folder: Path) -> tuple[str, bytes]:
    """Name of one file of a model, and damaged content of it."""
    manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    name = draw(st.sampled_from(sorted(manifest["files"])))
    return name, draw(damaged((folder / name).read_bytes(), [*JSON_PIECES, *WEIGHT_PIECES]))


def test_a_damaged_file_is_read_or_refused(baseline_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(baseline_folder, folder)

    @given(one_damaged(folder))
    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    def load_with(damaged_file: tuple[str, bytes]) -> None:
        load_damaged(folder, *damaged_file)

    load_with()
