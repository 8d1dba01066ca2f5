"""The device, its precision, and where the encoder is loaded from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from paratopic.project.errors import UserError
from paratopic.transformer.encoder import (
    BUNDLED,
    BUNDLED_SHA256,
    autocast,
    check_lengths,
    load_encoder,
    pick_device,
    resolve_encoder,
)
from paratopic.transformer.settings import Transformer


@pytest.mark.parametrize(
    ("cuda", "mps", "picked"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, picked: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto").type == picked
    assert pick_device("cpu").type == "cpu"


def test_a_device_that_is_not_available_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"transformer.device: cuda is not available.*cpu"):
        pick_device("cuda")


def test_mixed_precision_is_used_on_cuda_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    arguments: dict[str, object] = {}
    monkeypatch.setattr(torch, "autocast", lambda kind, **rest: arguments.update(rest, kind=kind))
    autocast(torch.device("cuda"))
    assert arguments == {"kind": "cuda", "dtype": torch.bfloat16, "enabled": True}


@pytest.mark.parametrize("piece", ["model.safetensors", "tokenizer.json"])
def test_the_bundled_encoders_checksums_are_checked(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Path(resolve_encoder(BUNDLED), piece).exists()
    resolve_encoder.cache_clear()
    monkeypatch.setitem(BUNDLED_SHA256, piece, "0" * 64)
    with pytest.raises(UserError, match=f"{piece}: this is not that of {BUNDLED}"):
        resolve_encoder(BUNDLED)
    resolve_encoder.cache_clear()


def test_an_encoder_that_cannot_be_loaded_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"transformer.encoder: .*nowhere cannot be loaded"):
        load_encoder(str(tmp_path / "nowhere"), torch.device("cpu"))


@pytest.mark.parametrize(("padding", "limit"), [(None, 514), (1, 512)])
def test_windows_are_no_longer_than_the_encoder_can_read(padding: int | None, limit: int) -> None:
    positions = torch.nn.Embedding(514, 4, padding_idx=padding)
    model = SimpleNamespace(embeddings=SimpleNamespace(position_embeddings=positions))
    encoder: Any = SimpleNamespace(transformers_model=model)
    params = Transformer("tiny", "cpu", limit, 64, 3, 500, 32, 0, 1e-4)
    check_lengths(encoder, params)
    with pytest.raises(UserError, match=f"transformer.max_tokens: {limit + 1} .* {limit} tokens"):
        check_lengths(encoder, replace(params, max_tokens=limit + 1))
    model.embeddings = SimpleNamespace()
    check_lengths(encoder, replace(params, max_tokens=10**6))
