"""The context of a text is read by its weights, and missing context has no weight."""

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

from paratopic.inference.linear_head import LONG_TEXT, ContextWeights, read_head, weigh_texts
from paratopic.inference.model import Model, load
from paratopic.inference.modes import Array, Calibration, mode_of
from paratopic.inference.onnx_model import EncoderClassifier, read_windows
from paratopic.inference.tfidf_model import BaselineClassifier, transform_in_context
from paratopic.project.passages import N_NEIGHBOURS, Passage, article_passages
from paratopic.project.texts import PARTS, Text, numbered, plain_texts
from paratopic.training.calibration import apply_calibration
from paratopic.training.examples import Fitted
from tests.inference.conftest import Make, calibrated
from tests.samples import CONTEXT_WEIGHTS, KINDS, TARIFF, score

LONG = "Officials said that the tariff on export goods would rise. " * 10
AROUND = Passage(
    "Officials said that the tariff would rise.",
    before=("The navy left the island.", "Chip and software, and data."),
    after=("Missile and troops on the border. " * 5,),
    heading="Customs duty",
    title="A new network",
)
# With the weights of `CONTEXT_WEIGHTS`, a neighbour at distance k has weight .6 to the power of k.
WEIGHTED_CONTEXT = [
    (0.6, AROUND.before[1]),
    (0.36, AROUND.before[0]),
    (0.6, AROUND.after[0]),
    (0.3, AROUND.heading),
    (0.2, AROUND.title),
]
NO_CONTEXT = [
    Passage(TARIFF),
    Passage(TARIFF, ("", " \n"), "\t", " ", ""),
    Passage(TARIFF, ("The navy.", "", "", "")),
]
only_transformer = pytest.mark.parametrize("reading", ["transformer"], indirect=True)
only_baseline = pytest.mark.parametrize("reading", ["baseline"], indirect=True)


@pytest.fixture(scope="module")
def model(reading: tuple[Fitted, Path]) -> Model:
    return load(reading[1])


def test_a_text_is_read_as_a_passage_without_context(reading: tuple[Fitted, Path]) -> None:
    passages = [*map(Passage, (TARIFF, LONG, "\u2603 unheard-of", "The navy.")), *NO_CONTEXT]
    texts = plain_texts(passages)
    model = load(reading[1])
    assert model.context == reading[0].context == CONTEXT_WEIGHTS
    assert not model.context.reads(numbered(passages)).any()
    for scorer in (reading[0], model):
        np.testing.assert_array_equal(score(scorer, passages), score(scorer, texts))
    assert model.predict(passages) == model.predict(texts)
    for passage in passages[1:2] + NO_CONTEXT:
        assert model.explain(passage) == model.explain(passage.text)


def test_a_prediction_does_not_depend_on_other_texts_their_context_or_threads(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[Text] = [TARIFF, LONG, AROUND, replace(AROUND, text=LONG), "The navy.", *NO_CONTEXT]
    together = model.predict_proba(texts)
    one_by_one = np.concatenate([model.predict_proba([text]) for text in texts])
    # The last digits depend on the batch of a window, and on the order of sums.
    atol = 1e-6 if model.kind == "transformer" else 1e-15
    if model.kind == "baseline":
        rows = [0, 1, 4, 5, 6, 7]
        np.testing.assert_array_equal(together[rows], one_by_one[rows])
    np.testing.assert_allclose(together, one_by_one, rtol=0, atol=atol)
    reordered = model.predict_proba(texts[::-1])[::-1]
    np.testing.assert_allclose(reordered, one_by_one, rtol=0, atol=atol)
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("paratopic.inference.onnx_model.thread_pool", lambda: pool)
        np.testing.assert_array_equal(model.predict_proba(texts), together)


def test_a_model_without_weights_ignores_context(trained: tuple[Fitted, Path]) -> None:
    model = load(trained[1])
    assert model.context == ContextWeights()
    assert not model.context.reads(numbered([AROUND])).any()
    for scorer in (trained[0], model):
        scores = score(scorer, [AROUND, LONG])
        np.testing.assert_array_equal(scores, score(scorer, [AROUND.text, LONG]))
    assert model.explain(AROUND) == model.explain(AROUND.text)


def test_each_part_moves_the_prediction_and_distant_parts_do_not(model: Model) -> None:
    before = ("Tariff.", "Quota.", *AROUND.before)
    far = replace(AROUND, before=before, after=tuple(AROUND.after) * 4)
    near = replace(far, before=far.before[-N_NEIGHBOURS:], after=far.after[:N_NEIGHBOURS])
    at_reach, beyond = model.predict_proba([near, far])
    in_context, without_context = model.predict_proba([AROUND, AROUND.text])
    np.testing.assert_array_equal(at_reach, beyond)
    without_part = model.predict_proba([replace(AROUND, **{part: ""}) for part in PARTS])
    for scores in (without_context, *without_part):
        assert np.abs(scores - in_context).max() > 1e-4


@only_transformer
def test_a_window_is_embedded_with_the_sum_of_its_texts_context(model: Model) -> None:
    classifier, head = model._classifier, read_head(model.folder / EncoderClassifier.HEAD)
    assert isinstance(classifier, EncoderClassifier)
    embeddings = [w * np.asarray(model.embed([text])) for w, text in WEIGHTED_CONTEXT]
    own = np.asarray(model.embed([AROUND.text]))
    total = own + np.sum(embeddings, axis=0)
    expected = head.logits(total / np.linalg.norm(total))
    logits, windows = classifier.read(numbered([AROUND]))
    assert windows.tolist() == [1]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    # The context of a long text is added to each of its windows, and its neighbours weigh less.
    tokens, _ = read_windows(classifier._tokenizer, [LONG])
    factors = [LONG_TEXT / len(LONG)] * 3 + [1, 1]
    context = sum(
        factor * weight * np.asarray(model.embed([text]))
        for factor, (weight, text) in zip(factors, WEIGHTED_CONTEXT, strict=True)
    )
    total = classifier._model.run(tokens) + context
    window_logits = head.logits(total / np.linalg.norm(total, axis=1, keepdims=True))
    expected = np.average(window_logits, axis=0, weights=[len(window) for window in tokens])[None]
    logits, windows = classifier.read(numbered([replace(AROUND, text=LONG)]))
    assert windows.tolist() == [len(tokens)] and len(tokens) > 5
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@only_baseline
def test_features_are_the_sum_with_the_context_and_have_the_norm_of_the_text(model: Model) -> None:
    classifier, head = model._classifier, read_head(model.folder / BaselineClassifier.HEAD)
    assert isinstance(classifier, BaselineClassifier)

    def rows(*texts: str) -> Array:
        return np.asarray(classifier._union.transform(texts).toarray())

    context = sum(weight * rows(text) for weight, text in WEIGHTED_CONTEXT)
    own = rows(AROUND.text)
    total = own + context
    expected = total / np.linalg.norm(total) * np.sqrt(2)
    assert np.linalg.norm(own) == pytest.approx(np.sqrt(2))
    features = transform_in_context(
        classifier._union.transform, numbered([AROUND]), CONTEXT_WEIGHTS
    ).toarray()
    np.testing.assert_allclose(features, expected, atol=1e-12)
    np.testing.assert_allclose(classifier.read(numbered([AROUND])).logits, head.logits(expected))
    # A text without a known word has the features of its context.
    unknown = replace(AROUND, text="\u2603")
    features = transform_in_context(
        classifier._union.transform, numbered([unknown]), CONTEXT_WEIGHTS
    ).toarray()
    np.testing.assert_allclose(features, context, atol=1e-12)


def test_neighbours_beyond_a_blank_one_are_not_read_and_each_distinct_text_is_read_once() -> None:
    passage = Passage("Text.", ("Far.", ""), ("", " ", "Farther.", "Too far."))
    read = weigh_texts(numbered([passage]), CONTEXT_WEIGHTS)
    assert read.texts == ["Text.", "Far.", "Farther."]
    np.testing.assert_allclose(read.weight, [0.6**2, 0.6**3])
    assert CONTEXT_WEIGHTS.parts(passage) == ["before", "after"]
    passages = article_passages(["A.", "B.", "A."], title="T")
    read = weigh_texts(numbered([*passages, "B.", "C."]), ContextWeights(0.5, 0.3, 0.1))
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
def test_context_is_read_if_it_has_a_weight(
    passages: list[Passage], weights: ContextWeights
) -> None:
    read = weigh_texts(numbered(passages), weights)
    assert (read.weight > 0).all()
    assert all(text.strip() for text in read.texts)
    reads = weights.reads(numbered(passages)).tolist()
    assert np.isin(np.arange(len(passages)), read.row).tolist() == reads


def test_paragraphs_of_an_article_are_read_together(model: Model, rows: pd.DataFrame) -> None:
    texts = [*rows["text"][:5], " "]
    headings = ["", "Trade", "Trade", "", "Navy", "Navy"]
    predictions = model.predict_article(texts, headings, "Talks")
    assert predictions == model.predict(article_passages(texts, headings, "Talks"))
    assert predictions[0] != model.predict(texts[0])
    assert set(predictions[5].scores.values()) == {0.0} and not predictions[5].topics
    with pytest.raises(TypeError, match="list of str"):
        model.predict_article(TARIFF)


def test_half_of_a_surrogate_pair_is_read_as_a_question_mark(model: Model) -> None:
    def passage(end: str) -> Passage:
        return Passage(
            f"{TARIFF} {end}", f"Navy {end}", f"Army {end}", f"Chip {end}", f"Data {end}"
        )

    cut_off, complete = passage("\ud83d"), passage("?")
    assert model.predict([cut_off, cut_off.text]) == model.predict([complete, complete.text])
    assert model.explain(cut_off).context == model.explain(complete).context


def test_embeddings_leave_out_context(model: Model) -> None:
    assert model.embed([]).shape == (0, model.embed(["Tariffs rose."]).shape[1])
    texts: list[Text] = [AROUND, LONG]
    gap: Any = model.embed(texts) - model.embed([AROUND.text, LONG])
    assert abs(gap).sum() == 0
    for method in (model.embed, model.predict_proba):
        for text in (AROUND, TARIFF):
            with pytest.raises(TypeError, match="list of str"):
                method(text)  # type: ignore[arg-type]  # the mistake that is tested


WITHOUT_CONTEXT = Calibration((2.0,) * 4, (0.0, 0.0, 0.0, -3.0), sure=0.0)
IN_CONTEXT = Calibration(
    (0.5,) * 4, (0.0, 0.0, 0.0, 1.0), sure=2.0, without_context=WITHOUT_CONTEXT
)


def test_each_reading_has_its_calibration(reading: tuple[Fitted, Path], tmp_path: Path) -> None:
    passages: list[Text] = [TARIFF, AROUND, LONG, replace(AROUND, text=TARIFF), *NO_CONTEXT]
    has_context = np.array([False, True, False, True, False, False, False])
    raw, mode = reading[0].predict_proba(numbered(passages)), mode_of("single")
    without_context = apply_calibration(raw, WITHOUT_CONTEXT, mode)
    in_context = apply_calibration(raw, IN_CONTEXT, mode)
    model = calibrated(reading[1], tmp_path / "both", IN_CONTEXT)
    assert model.calibration == IN_CONTEXT
    atol = 0.02 if model.kind == "transformer" else 1e-12
    assert np.abs(without_context - in_context).max(axis=1).min() > 2 * atol
    expected = np.where(has_context[:, None], in_context, without_context)
    np.testing.assert_allclose(model.predict_proba(passages), expected, rtol=0, atol=atol)
    # With a threshold of 2, no prediction is sure; with 0, all with a topic are.
    predictions = model.predict(passages)
    sure = [
        bool(row.topics) and not read for row, read in zip(predictions, has_context, strict=True)
    ]
    assert [row.sure for row in predictions] == sure and any(sure)
    logits = [list(model.explain(passage).logits.values()) for passage in passages]
    explained = softmax(logits, axis=1)[:, :-1]
    np.testing.assert_allclose(explained, model.predict_proba(passages), atol=1e-3)
    # Without a calibration for texts without context, the other one is used.
    one = calibrated(reading[1], tmp_path / "one", replace(IN_CONTEXT, without_context=None))
    scores = one.predict_proba(passages)
    np.testing.assert_allclose(scores, in_context, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_in_mode_multi_thresholds_depend_on_context(kind: str, make: Make, tmp_path: Path) -> None:
    without_context = Calibration(thresholds=(0.0, 2.0, 0.0))
    calibration = Calibration(thresholds=(2.0,), without_context=without_context)
    model = calibrated(make(kind, CONTEXT_WEIGHTS, "multi")[1], tmp_path / "model", calibration)
    first, second, third = model.predict([TARIFF, AROUND, AROUND.text])
    assert set(first.topics) == set(third.topics) == {"trade", "security"}
    assert second.topics == ()
