"""What stands around a text is read by its weight, and what is missing weighs nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from paratopic.inference.linear_head import CLEAR, ContextWeights, in_context, read_head
from paratopic.inference.model import Model, load
from paratopic.inference.modes import Array, Calibration, mode_of
from paratopic.inference.onnx_model import EncoderClassifier, read_windows
from paratopic.inference.tfidf_model import BaselineClassifier, transform_in_context
from paratopic.project.passages import REACH, Passage, article_passages
from paratopic.project.texts import PARTS, Text, numbered, plain
from paratopic.training.calibration import apply_calibration
from paratopic.training.examples import Fitted
from tests.inference.conftest import Make, calibrated
from tests.samples import KINDS, READING, TARIFF, score

LONG = "Officials said that the tariff on export goods would rise. " * 10
AROUND = Passage(
    "Officials said that the tariff would rise.",
    before=("The navy left the island.", "Chip and software, and data."),
    after=("Missile and troops on the border. " * 5,),
    heading="Customs duty",
    title="A new network",
)
# The weights of `READING`, where a neighbour that is k away weighs .6 to the power of k.
BY_HAND = [
    (0.6, AROUND.before[1]),
    (0.36, AROUND.before[0]),
    (0.6, AROUND.after[0]),
    (0.3, AROUND.heading),
    (0.2, AROUND.title),
]
NOTHING = [
    Passage(TARIFF),
    Passage(TARIFF, ("", " \n"), "\t", " ", ""),
    Passage(TARIFF, ("The navy.", "", "", "")),
]
only_transformer = pytest.mark.parametrize("reading", ["transformer"], indirect=True)
only_baseline = pytest.mark.parametrize("reading", ["baseline"], indirect=True)


@pytest.fixture(scope="module")
def model(reading: tuple[Fitted, Path]) -> Model:
    return load(reading[1])


def test_a_text_is_read_as_a_passage_with_nothing_around_it(reading: tuple[Fitted, Path]) -> None:
    passages = [*map(Passage, (TARIFF, LONG, "\u2603 unheard-of", "The navy.")), *NOTHING]
    texts = plain(passages)
    model = load(reading[1])
    assert model.context == reading[0].context == READING
    assert not model.context.reads(numbered(passages)).any()
    for able in (*reading[:1], model):
        np.testing.assert_array_equal(score(able, passages), score(able, texts))
    assert model.predict(passages) == model.predict(texts)
    for passage in passages[1:2] + NOTHING:
        assert model.explain(passage) == model.explain(passage.text)


def test_an_answer_does_not_depend_on_other_texts_what_stands_around_them_or_on_threads(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[Text] = [TARIFF, LONG, AROUND, replace(AROUND, text=LONG), "The navy.", *NOTHING]
    together = model.predict_proba(texts)
    alone = np.concatenate([model.predict_proba([text]) for text in texts])
    # Windows that are computed together, and sums in another order, differ in the last digits.
    atol = 1e-6 if model.kind == "transformer" else 1e-15
    if model.kind == "baseline":
        np.testing.assert_array_equal(together[[0, 1, 4, 5, 6, 7]], alone[[0, 1, 4, 5, 6, 7]])
    np.testing.assert_allclose(together, alone, rtol=0, atol=atol)
    np.testing.assert_allclose(model.predict_proba(texts[::-1])[::-1], alone, rtol=0, atol=atol)
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("paratopic.inference.onnx_model.thread_pool", lambda: pool)
        np.testing.assert_array_equal(model.predict_proba(texts), together)


def test_a_model_without_weights_reads_texts_alone(trained: tuple[Fitted, Path]) -> None:
    model = load(trained[1])
    assert model.context == ContextWeights()
    assert not model.context.reads(numbered([AROUND])).any()
    for able in (*trained[:1], model):
        scores, own = (score(able, [text, LONG]) for text in (AROUND, AROUND.text))
        np.testing.assert_array_equal(scores, own)
    assert model.explain(AROUND) == model.explain(AROUND.text)


def test_each_part_moves_the_answer_and_those_too_far_away_do_not(model: Model) -> None:
    before = ("Tariff.", "Quota.", *AROUND.before)
    far = replace(AROUND, before=before, after=tuple(AROUND.after) * 4)
    near = replace(far, before=far.before[-REACH:], after=far.after[:REACH])
    at_reach, beyond = model.predict_proba([near, far])
    whole, alone = model.predict_proba([AROUND, AROUND.text])
    np.testing.assert_array_equal(at_reach, beyond)
    without = model.predict_proba([replace(AROUND, **{part: ""}) for part in PARTS])
    for scores in (alone, *without):
        assert np.abs(scores - whole).max() > 1e-4


@only_transformer
def test_a_window_is_embedded_with_the_sum_of_what_is_around_its_text(model: Model) -> None:
    classifier, head = model._classifier, read_head(model.folder / EncoderClassifier.HEAD)
    assert isinstance(classifier, EncoderClassifier)
    of_context = np.sum([w * np.asarray(model.embed([text])) for w, text in BY_HAND], axis=0)
    own = np.asarray(model.embed([AROUND.text]))
    total = own + of_context
    expected = head.logits(total / np.linalg.norm(total))
    logits, windows = classifier.read(numbered([AROUND]))
    assert windows.tolist() == [1]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    # Of a long text, what is around it is read with each window; its neighbours weigh less.
    tokens, _ = read_windows(classifier._tokenizer, [LONG])
    clear = [CLEAR / len(LONG)] * 3 + [1, 1]
    of_context = sum(
        c * w * np.asarray(model.embed([text])) for c, (w, text) in zip(clear, BY_HAND, strict=True)
    )
    total = classifier._model.run(tokens) + of_context
    of_windows = head.logits(total / np.linalg.norm(total, axis=1, keepdims=True))
    expected = np.average(of_windows, axis=0, weights=[len(window) for window in tokens])[None]
    logits, windows = classifier.read(numbered([replace(AROUND, text=LONG)]))
    assert windows.tolist() == [len(tokens)] and len(tokens) > 5
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@only_baseline
def test_features_are_the_sum_of_those_around_the_text_and_as_long_as_its_own(model: Model) -> None:
    classifier, head = model._classifier, read_head(model.folder / BaselineClassifier.HEAD)
    assert isinstance(classifier, BaselineClassifier)

    def rows(*texts: str) -> Array:
        return np.asarray(classifier._union.transform(texts).toarray())

    of_context = sum(weight * rows(text) for weight, text in BY_HAND)
    own = rows(AROUND.text)
    total = own + of_context
    expected = total / np.linalg.norm(total) * np.sqrt(2)
    assert np.linalg.norm(own) == pytest.approx(np.sqrt(2))
    features = transform_in_context(
        classifier._union.transform, numbered([AROUND]), READING
    ).toarray()
    np.testing.assert_allclose(features, expected, atol=1e-12)
    np.testing.assert_allclose(classifier.read(numbered([AROUND])).logits, head.logits(expected))
    # A text without a known word is what is around it.
    unknown = replace(AROUND, text="\u2603")
    features = transform_in_context(
        classifier._union.transform, numbered([unknown]), READING
    ).toarray()
    np.testing.assert_allclose(features, of_context, atol=1e-12)


def test_blank_neighbours_keep_others_away_and_each_distinct_text_is_read_once() -> None:
    passage = Passage("Text.", ("Far.", ""), ("", " ", "Farther.", "Too far."))
    read = in_context(numbered([passage]), READING)
    assert read.texts == ["Text.", "Far.", "Farther."]
    np.testing.assert_allclose(read.weight, [0.6**2, 0.6**3])
    assert READING.parts(passage) == ["before", "after"]
    passages = article_passages(["A.", "B.", "A."], title="T")
    read = in_context(numbered([*passages, "B.", "C."]), ContextWeights(0.5, 0.3, 0.1))
    assert read.texts == ["A.", "B.", "C.", "T"]
    assert read.own.tolist() == [0, 1, 0, 1, 2]
    expected = np.zeros((5, 4))
    expected[:3] = [[0.25, 0.5, 0, 0.1], [1, 0, 0, 0.1], [0.25, 0.5, 0, 0.1]]
    np.testing.assert_allclose(read.sums(np.eye(4)), expected)
    np.testing.assert_allclose(read.around.toarray(), expected)


WORD = st.sampled_from(["", " ", "A.", "B."])
PASSAGES = st.builds(
    Passage, st.just("Text."), st.lists(WORD, max_size=5), st.lists(WORD, max_size=5), WORD, WORD
)
WEIGHTS = st.builds(ContextWeights, *[st.sampled_from([0.0, 0.5, 1.0])] * 3)


@given(st.lists(PASSAGES, max_size=4), WEIGHTS)
def test_a_passage_is_read_if_parts_weigh(passages: list[Passage], weights: ContextWeights) -> None:
    read = in_context(numbered(passages), weights)
    assert (read.weight > 0).all()
    assert all(text.strip() for text in read.texts)
    reads = weights.reads(numbered(passages)).tolist()
    assert np.isin(np.arange(len(passages)), read.row).tolist() == reads


def test_paragraphs_of_an_article_are_read_together(model: Model, rows: pd.DataFrame) -> None:
    texts = [*rows["text"][:5], " "]
    headings = ["", "Trade", "Trade", "", "Navy", "Navy"]
    answers = model.predict_article(texts, headings, "Talks")
    assert answers == model.predict(article_passages(texts, headings, "Talks"))
    assert answers[0] != model.predict(texts[0])
    assert set(answers[5].scores.values()) == {0.0} and not answers[5].topics
    with pytest.raises(TypeError, match="list of str"):
        model.predict_article(TARIFF)


def test_half_of_a_surrogate_pair_is_read_as_a_question_mark(model: Model) -> None:
    cut_off, asked = (
        Passage(f"{TARIFF} {end}", f"Navy {end}", f"Army {end}", f"Chip {end}", f"Data {end}")
        for end in ("\ud83d", "?")
    )
    assert model.predict([cut_off, cut_off.text]) == model.predict([asked, asked.text])
    assert model.explain(cut_off).context == model.explain(asked).context


def test_embeddings_leave_out_what_stands_around(model: Model) -> None:
    texts: list[Text] = [AROUND, LONG]
    gap: Any = model.embed(texts) - model.embed([AROUND.text, LONG])
    assert abs(gap).sum() == 0
    for refused in (model.embed, model.predict_proba):
        for one in (AROUND, TARIFF):
            with pytest.raises(TypeError, match="list of str"):
                refused(one)  # type: ignore[arg-type]  # the mistake that is tested


WITHOUT_CONTEXT = Calibration((2.0,) * 4, (0.0, 0.0, 0.0, -3.0), sure=0.0)
IN_CONTEXT = Calibration((0.5,) * 4, (0.0, 0.0, 0.0, 1.0), sure=2.0, alone=WITHOUT_CONTEXT)


def test_each_reading_has_its_calibration(reading: tuple[Fitted, Path], tmp_path: Path) -> None:
    passages: list[Text] = [TARIFF, AROUND, LONG, replace(AROUND, text=TARIFF), *NOTHING]
    in_context = np.array([False, True, False, True, False, False, False])
    raw, mode = reading[0].predict_proba(numbered(passages)), mode_of("single")
    with_each = [apply_calibration(raw, each, mode) for each in (WITHOUT_CONTEXT, IN_CONTEXT)]
    model = calibrated(reading[1], tmp_path / "both", IN_CONTEXT)
    assert model.calibration == IN_CONTEXT
    atol = 0.02 if model.kind == "transformer" else 1e-12
    assert np.abs(with_each[0] - with_each[1]).max(axis=1).min() > 2 * atol
    expected = np.where(in_context[:, None], with_each[1], with_each[0])
    np.testing.assert_allclose(model.predict_proba(passages), expected, rtol=0, atol=atol)
    # Nothing is sure from 2 on, and every topic that is predicted is from 0 on.
    answers = model.predict(passages)
    sure = [bool(each.topics) and not read for each, read in zip(answers, in_context, strict=True)]
    assert [answer.sure for answer in answers] == sure and any(sure)
    logits = [list(model.explain(passage).logits.values()) for passage in passages]
    explained = softmax(logits, axis=1)[:, :-1]
    np.testing.assert_allclose(explained, model.predict_proba(passages), atol=1e-3)
    # Where one is given, it is that of all.
    one = calibrated(reading[1], tmp_path / "one", replace(IN_CONTEXT, alone=None))
    scores = one.predict_proba(passages)
    np.testing.assert_allclose(scores, with_each[1], rtol=0, atol=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_in_mode_multi_the_thresholds_are_those_of_texts_alone_or_in_context(
    kind: str, make: Make, tmp_path: Path
) -> None:
    alone = Calibration(thresholds=(0.0, 2.0, 0.0))
    both = Calibration(thresholds=(2.0,), alone=alone)
    model = calibrated(make(kind, READING, "multi")[1], tmp_path / "model", both)
    first, second, third = model.predict([TARIFF, AROUND, AROUND.text])
    assert set(first.topics) == set(third.topics) == {"trade", "security"}
    assert second.topics == ()
