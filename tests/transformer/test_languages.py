"""An encoder of other languages learns, ships and predicts German and Chinese texts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from paratopic import load
from paratopic.inference.modes import Calibration, one_hot
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer
from tests.encoders import save_encoder
from tests.samples import transformer_settings

# Topic → German words, and Chinese ones.
OF_TOPIC = {
    "trade": (("Zoll", "Ausfuhr", "Einfuhr", "Markt", "Güter"), "关税出口进口市场货物"),
    "security": (("Armee", "Grenze", "Rakete", "Bündnis", "Marine"), "军队边境导弹联盟海军"),
}
FILLER = ("die", "und", "über", "Gespräche", "in", "neue"), "会谈双方表示新的今天"
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")


def pairs_of(chinese: str) -> list[str]:
    return [chinese[at : at + 2] for at in range(0, len(chinese), 2)]


def texts_of(topic: str, rng: random.Random) -> tuple[str, str]:
    """A German and a Chinese text about a topic, both made up."""
    (german, chinese), (some, more) = OF_TOPIC[topic], FILLER
    words = [rng.choice(german if rng.random() < 0.85 else some) for _ in range(8)]
    pairs = [rng.choice(pairs_of(chinese if rng.random() < 0.85 else more)) for _ in range(8)]
    return " ".join(words) + ".", "".join(pairs) + "。"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """One with a vocabulary of pieces, as multilingual encoders have, and other special tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    # Their numbers are not those of English encoders either.
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    of_topics = list(OF_TOPIC.values())
    words = [f"▁{word}" for german in (*(g for g, _ in of_topics), FILLER[0]) for word in german]
    pairs = [pair for _, chinese in (*of_topics, FILLER) for pair in pairs_of(chinese)]
    characters = sorted({character for piece in words + pairs for character in piece})
    pieces = special + words + pairs + characters
    # Longer pieces are likelier than their characters.
    tokenizer = Tokenizer(models.Unigram([(piece, float(-1 / len(piece))) for piece in pieces], 3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return save_encoder(tmp_path, tokenizer, SPECIAL)


def test_it_learns_and_ships(encoder: Path, tmp_path: Path) -> None:
    rng, names = random.Random(1), tuple(OF_TOPIC)
    texts = [text for _ in range(20) for topic in names for text in texts_of(topic, rng)]
    targets = one_hot(np.tile([0, 0, 1, 1], 20), 2)
    groups = np.arange(len(texts))
    section = transformer_settings(encoder, epochs=4, learning_rate=3e-2, train_tokens=32)
    topics = Topics("single", names)
    model = transformer.fit(Examples(numbered(texts), targets, groups, groups), topics, section, 1)
    model.save(tmp_path / "model", Calibration(), ["de", "zh"])
    shipped = load(tmp_path / "model")
    assert shipped.languages == ("de", "zh")
    new = [(text, topic) for topic in names for _ in range(50) for text in texts_of(topic, rng)]
    held_out = [text for text, _ in new]
    scores = shipped.predict_proba(held_out)
    np.testing.assert_allclose(scores, model.predict_proba(numbered(held_out)), atol=0.1)
    right = [names[best] == topic for best, (_, topic) in zip(scores.argmax(1), new, strict=True)]
    assert np.mean(right[::2]) > 0.8 and np.mean(right[1::2]) > 0.8  # German, Chinese
