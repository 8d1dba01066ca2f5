"""An encoder of each architecture is tuned, saved, and predicts German and Chinese texts."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from paratopic import load
from paratopic.inference.modes import Calibration, one_hot
from paratopic.inference.onnx_model import read_windows
from paratopic.project.errors import UserError
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from paratopic.transformer import encoder as encoders
from paratopic.transformer.encoder import EXPORTED, check_lengths, load_encoder
from paratopic.transformer.fit import INT8_GAP, fit
from paratopic.transformer.network import embed_windows
from tests.encoders import save_encoder
from tests.samples import transformer_settings

# Topic → German words, and Chinese ones.
TOPIC_WORDS = {
    "trade": (("Zoll", "Ausfuhr", "Einfuhr", "Markt", "Güter"), "关税出口进口市场货物"),
    "security": (("Armee", "Grenze", "Rakete", "Bündnis", "Marine"), "军队边境导弹联盟海军"),
}
FILLER = ("die", "und", "über", "Gespräche", "in", "neue"), "会谈双方表示新的今天"

# Names of the tokens that pad, are unknown, begin, end and mask.
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")


class Tiny(NamedTuple):
    """A tiny encoder: its tokenizer, the number of the token that pads, and settings.

    `limit` is how many tokens it reads at once; None for any number.
    """

    tokenizer: str
    special: tuple[str, ...]
    pads: int
    limit: int | None
    settings: dict[str, Any]


# Layers share the table of positions.
DEBERTA_V3 = {
    "num_hidden_layers": 2,
    "norm_rel_ebd": "layer_norm",
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "position_buckets": 8,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
}
# One of the two layers reads 8 tokens on either side.
MODERNBERT = {
    "num_hidden_layers": 2,
    "local_attention": 16,
    "global_attn_every_n_layers": 2,
    "pooling": "cls",
}
ELECTRA = {"embedding_size": 16, "pooling": "cls", "dense": True}
ENCODERS = {
    "bert": Tiny("WordPiece", BERT, 0, 64, {"pooling": "cls"}),
    "deberta-v2": Tiny("Unigram", BERT, 0, None, DEBERTA_V3),
    "distilbert": Tiny("WordPiece", BERT, 0, 64, {"hidden_dim": 64, "dense": True}),
    "electra": Tiny("WordPiece", BERT, 0, 64, ELECTRA),
    "modernbert": Tiny("BPE", BERT, 3, None, MODERNBERT),
    "mpnet": Tiny("WordPiece", ROBERTA, 1, 62, {}),
    "roberta": Tiny("BPE", ROBERTA, 1, 62, {}),
    "xlm-roberta": Tiny("Unigram", ROBERTA, 1, 62, {}),
}


def texts_of(topic: str, rng: random.Random) -> tuple[str, str]:
    """A German and a Chinese text about a topic, both made up."""
    (german, chinese), (some, more) = TOPIC_WORDS[topic], FILLER
    words = [rng.choice(german if rng.random() < 0.85 else some) for _ in range(8)]
    starts = [(chinese if rng.random() < 0.85 else more, 2 * rng.randrange(5)) for _ in range(8)]
    return " ".join(words) + ".", "".join(source[at : at + 2] for source, at in starts) + "。"


def labelled(n: int, rng: random.Random) -> tuple[list[str], np.ndarray]:
    """n texts of each topic and language, the languages in turn, and their topics' numbers."""
    texts = [text for topic in TOPIC_WORDS for _ in range(n) for text in texts_of(topic, rng)]
    return texts, np.repeat(np.arange(len(TOPIC_WORDS)), 2 * n)


def tokenizer_of(tiny: Tiny, texts: list[str]) -> Tokenizer:
    """A tokenizer of the encoder's kind, trained on the texts."""
    pad, unknown, begin, end, mask = tiny.special
    special = [begin, end, unknown, mask]
    special.insert(tiny.pads, pad)
    options: dict[str, Any] = {"special_tokens": special, "show_progress": False}
    trainer: trainers.Trainer
    match tiny.tokenizer:
        case "WordPiece":
            tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
            tokenizer.normalizer = normalizers.BertNormalizer()
            tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
            trainer = trainers.WordPieceTrainer(vocab_size=120, **options)
        case "BPE":
            tokenizer = Tokenizer(models.BPE())
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            alphabet = pre_tokenizers.ByteLevel.alphabet()
            trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, **options)
        case _:
            tokenizer = Tokenizer(models.Unigram())
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            trainer = trainers.UnigramTrainer(vocab_size=120, unk_token=unknown, **options)
    tokenizer.train_from_iterator(texts, trainer)
    numbers = [(token, tokenizer.token_to_id(token)) for token in (begin, end)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=numbers
    )
    return tokenizer


@pytest.fixture(scope="module", params=sorted(EXPORTED))
def architecture(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def encoder(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny, (texts, _) = ENCODERS[architecture], labelled(20, random.Random(1))
    return save_encoder(
        tmp_path_factory.mktemp(architecture),
        tokenizer_of(tiny, texts),
        tiny.special,
        architecture,
        initializer_range=0.1,
        **tiny.settings,
    )


def test_it_is_tuned_and_saved(encoder: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    texts, topic = labelled(20, rng)
    groups = np.arange(len(texts))
    examples = Examples(numbered(texts), one_hot(topic, 2), groups, groups)
    section = transformer_settings(encoder, learning_rate=3e-3, train_tokens=32)
    model = fit(examples, Topics("single", tuple(TOPIC_WORDS)), section, 1)
    before, tuned = load_encoder(str(encoder), torch.device("cpu")), model._tuned.state_dict()
    moved = [
        name
        for name, weights in before.state_dict().items()
        if not torch.equal(weights, tuned[name])
    ]
    assert moved and not any(".embeddings" in name for name in moved)  # words stay as they are
    parity = model.save(tmp_path / "model", Calibration(), ["de", "zh"])
    shipped = load(tmp_path / "model")
    assert shipped.languages == ("de", "zh")
    held_out, topic = labelled(50, rng)
    scores = shipped.predict_proba(held_out)
    gaps = np.abs(scores - model.predict_proba(numbered(held_out)))
    # All are close enough in 8 bits; `test_quantise` covers one that is not.
    assert parity["int8_used"] == 1 and gaps.mean() < INT8_GAP
    # German and Chinese, 100 texts each. ELECTRA's share is 0.68 to 0.84, as builds of torch round.
    right = scores.argmax(axis=1) == topic
    assert right[::2].mean() > 0.63 and right[1::2].mean() > 0.63


def test_windows_have_the_same_embeddings_when_they_are_padded(encoder: Path) -> None:
    loaded = load_encoder(str(encoder), torch.device("cpu"))
    texts, _ = labelled(1, random.Random(2))
    windows, _ = read_windows(loaded.tokenizer.backend_tokenizer, [*texts, "Zoll", ""])
    assert len({len(window) for window in windows}) > 3
    together = embed_windows(loaded, windows)
    one_by_one = torch.cat([embed_windows(loaded, [window]) for window in windows])
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-6)
    expected = loaded.encode([*texts, "Zoll", ""], normalize_embeddings=True)
    np.testing.assert_allclose(together.numpy(), expected, atol=1e-6)


def test_windows_that_are_too_long_for_it_are_refused(architecture: str, encoder: Path) -> None:
    loaded, limit = load_encoder(str(encoder), torch.device("cpu")), ENCODERS[architecture].limit
    params = transformer_settings(encoder, max_tokens=limit or 10**6)
    check_lengths(loaded, params)
    assert embed_windows(loaded, [[5] * (limit or 200)]).isfinite().all()
    if limit is None:
        return
    message = f"transformer.max_tokens: {limit + 1} .* {limit} tokens"
    with pytest.raises(UserError, match=message):
        check_lengths(loaded, replace(params, max_tokens=limit + 1))
    with pytest.raises((IndexError, RuntimeError)):
        embed_windows(loaded, [[5] * (limit + 1)])


@pytest.mark.parametrize("gap", [0.5, float("nan"), None])
def test_an_encoder_that_cannot_be_exported_is_refused_before_it_is_tuned(
    gap: float | None, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, windows: list[list[int]]) -> Any:
            return embed_windows(loaded, windows).numpy() + gap

    def broken(encoder: SentenceTransformer) -> Broken:
        if gap is None:
            raise RuntimeError("Failed to export.\nTry this.") from ValueError("no rule for it\n1.")
        return Broken()

    loaded = load_encoder(str(tiny_encoder), torch.device("cpu"))
    monkeypatch.setattr(encoders, "EXPORTED", {"roberta"})
    monkeypatch.setattr(encoders, "open_export", broken)
    why = "no rule for it" if gap is None else f"its embeddings would be off by {gap}"
    message = re.escape(f"({why}); its architecture is bert: take an encoder with one of")
    with pytest.raises(UserError, match=f"encoder: {tiny_encoder} .* {message} .*: roberta$"):
        load_encoder(str(tiny_encoder), torch.device("cpu"))


def test_an_architecture_that_no_test_exports_is_tried_once(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "EXPORTED", set())
    load_encoder(str(tiny_encoder), torch.device("cpu"))
    monkeypatch.setattr(encoders, "open_export", None)
    load_encoder(str(tiny_encoder), torch.device("cpu"))
    assert encoders.EXPORTED == {"bert"}
