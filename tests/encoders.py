"""Encoders of a few thousand random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.samples import FILLER, WORDS

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def save_encoder(
    folder: Path,
    tokenizer: Tokenizer,
    special: Sequence[str],
    architecture: str = "bert",
    pooling: str = "mean",
    dense: bool = False,
    **settings: object,
) -> Path:
    """Save an encoder in an empty folder, where sentence-transformers can load it.

    By default it has one layer. The special tokens are those for padding, unknown words, beginning,
    end and masking, in this order.
    """
    # These imports are late, because most tests need no torch.
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    tokens = dict(zip(names, special, strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)
    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(fast),
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "pad_token_id": fast.pad_token_id,
    }
    plain = folder / "plain"
    config = AutoConfig.for_model(architecture, **sizes | settings)
    AutoModel.from_config(config).save_pretrained(plain)
    fast.save_pretrained(plain)
    modules = [Transformer(str(plain)), Pooling(32, pooling)]
    if dense:
        modules.append(Dense(32, 24))
    SentenceTransformer(modules=modules, device="cpu").save(
        str(folder / "encoder"), create_model_card=False
    )
    return folder / "encoder"


def save_tiny_encoder(folder: Path) -> Path:
    """Save an encoder with one layer, random weights and the vocabulary of the samples."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + sorted({*FILLER}.union(*WORDS.values()))
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(numbers, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return save_encoder(folder, tokenizer, special)
