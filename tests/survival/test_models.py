"""Models whose checksums are right and whose pieces do not fit are refused when they are loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from paratopic import UserError, load
from paratopic.inference.folder import MANIFEST
from paratopic.project.files import sha256
from tests.reading.test_any_bytes import damaged

Weights = dict[str, npt.NDArray[np.float64]]


def repacked(folder: Path, copy: Path, name: str, change: Callable[[Path], object]) -> Path:
    """A copy of a model's folder in which one file is changed, with its checksum."""
    shutil.copytree(folder, copy)
    change(copy / name)
    correct_checksum(copy, name)
    return copy


def correct_checksum(folder: Path, name: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][name] = sha256(folder / name)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def not_a_number(weights: Weights) -> None:
    weights["coef"][0, 0] = np.nan


def no_intercepts(weights: Weights) -> None:
    weights["intercept"][:] = np.nan


def without_first(axis: int, *names: str) -> Callable[[Weights], None]:
    """What removes the first topic, term or dimension from some of the weights."""

    def spoil(weights: Weights) -> None:
        for name in names:
            weights[name] = np.delete(weights[name], 0, axis)

    return spoil


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("head.safetensors", not_a_number),
        ("head.safetensors", without_first(0, "coef", "slope", "intercept")),
        ("head.safetensors", without_first(1, "coef", "descriptions")),
        ("head.safetensors", without_first(1, "descriptions")),
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


# What files of a model are damaged with.
OF_JSON = [b"[", b"{", b'"', b"null", b"1e999", b"\\ud800", b"NaN", b"[" * 2000, b'{"a":1},']
OF_WEIGHTS = [b"\x00" * 8, b"\xff" * 8, b"\x7f", b'"F64"', b'"F32"', b"[1,", b"999999999", b"{}"]


def load_damaged(folder: Path, name: str, data: bytes) -> str:
    """Whether a model is read or refused one of whose files has other content, for a moment."""
    whole = {path: (folder / path).read_bytes() for path in (name, MANIFEST)}
    (folder / name).write_bytes(data)
    correct_checksum(folder, name)
    try:
        load(folder).predict("Talks on trade.")
    except UserError as error:
        assert str(folder) in str(error)
        return f"{name} refused"
    finally:
        for path, content in whole.items():
            (folder / path).write_bytes(content)
    return f"{name} read"


@st.composite
def one_damaged(draw: st.DrawFn, folder: Path) -> tuple[str, bytes]:
    """Name and content of one file of a model, which is damaged."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    name = draw(st.sampled_from(sorted(manifest["files"])))
    return name, draw(damaged((folder / name).read_bytes(), [*OF_JSON, *OF_WEIGHTS]))


def test_a_damaged_file_is_read_or_refused(baseline_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(baseline_folder, folder)

    @given(one_damaged(folder))
    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    def attempt(given: tuple[str, bytes]) -> None:
        load_damaged(folder, *given)

    attempt()
