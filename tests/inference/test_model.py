"""Both kinds of model keep one contract: probabilities, predictions and their independence."""

from __future__ import annotations

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.special import expit

from paratopic.inference.model import Model, load
from paratopic.inference.modes import NEVER, Calibration, mode_of
from paratopic.project.texts import numbered
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.training.examples import Examples, Fitted
from tests.inference.conftest import Make, calibrated
from tests.samples import KINDS, TARIFF, WORDS, examples, fit, score


def test_a_hundred_threads_can_use_one_model(model: Model, rows: pd.DataFrame) -> None:
    texts = list(rows["text"])[:10]
    expected = model.predict(texts)
    with ThreadPoolExecutor(100) as pool:
        predictions = list(pool.map(lambda _: model.predict(texts), range(100)))
    assert predictions == [expected] * 100


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("present", [["trade", "security"], ["security"]])
def test_topics_without_examples_get_no_probability(
    kind: str,
    present: list[str],
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path: Path,
) -> None:
    undescribed = Topics("single", topics.names)
    data = examples(rows[rows["topic"].isin([(name,) for name in present])], topics.names)
    model = fit(kind, data, undescribed, tiny_encoder)
    models: list[Fitted | Model] = [model]
    if kind == "baseline":  # saving a transformer takes long, and its head is of the same class
        model.save(tmp_path / "model", Calibration())
        models.append(load(tmp_path / "model"))
    for scorer in models:
        scores = score(scorer, ["tariff on chips", "an army"])
        absent = [n for n, name in enumerate(topics.names) if name not in present]
        assert (scores[:, absent] == 0).all()
        np.testing.assert_allclose(scores.sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_trained_on_examples_without_topics_predicts_none(
    kind: str, rows: pd.DataFrame, topics: Topics, tiny_encoder: Path
) -> None:
    undescribed = Topics("single", topics.names)
    weather = [f"Rain and wind, then sun and rain, on day {n} of the week." for n in range(30)]
    data = examples(rows[rows["topic"].map(bool)], undescribed.names)
    targets = np.vstack([data.targets, np.zeros((30, len(topics.names)), dtype=bool)])
    rows_and_groups = [np.arange(len(targets))] * 2
    with_none = Examples(numbered([*data.texts.plain, *weather]), targets, *rows_and_groups)
    texts = ["A tariff on goods and customs duty.", "Sun, wind and rain all week."]
    without_none = fit(kind, data, undescribed, tiny_encoder)
    np.testing.assert_allclose(without_none.predict_proba(numbered(texts)).sum(axis=1), 1)
    model = fit(kind, with_none, undescribed, tiny_encoder)
    any_topic = model.predict_proba(numbered(texts)).sum(axis=1)
    assert any_topic[0] > 0.5 > any_topic[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["single", "multi"])
def test_a_model_needs_only_descriptions(
    kind: str, mode: ModeName, tiny_encoder: Path, tmp_path: Path
) -> None:
    descriptions = {"trade": "Tariff, export, customs.", "technology": "Chip, software, app."}
    described = Topics(mode, tuple(Topic(*item) for item in descriptions.items()))
    nothing = Examples(
        numbered([]), np.zeros((0, 2), dtype=bool), *[np.zeros(0, dtype=np.int64)] * 2
    )
    model = fit(kind, nothing, described, tiny_encoder)
    texts = [*descriptions.values(), "Rain and wind all week.", TARIFF]
    scores, thresholds = model.predict_proba(numbered(texts)), (1.0 if mode == "single" else 0.5,)
    # A tiny encoder gives all texts similar embeddings, so they are as near to other subjects.
    relative = scores[:2] / (scores[:2].sum(axis=1, keepdims=True) if mode == "single" else 1)
    predicted = mode_of(mode).predicted(relative, thresholds)
    np.testing.assert_array_equal(predicted, np.eye(2, dtype=bool))
    if mode == "multi" or kind == "transformer":  # saving a transformer takes long
        return
    model.save(tmp_path / kind, Calibration(thresholds=thresholds))
    loaded = load(tmp_path / kind)
    predictions = loaded.predict(list(descriptions.values()))
    assert [row.topic for row in predictions] == list(descriptions)
    np.testing.assert_allclose(loaded.predict_proba(texts), scores)
    assert scores[:2].sum(axis=1).min() > 0.99
    assert [row.topic for row in loaded.predict(["Rain.", TARIFF])] == [None, "trade"]


def test_predictions_are_sure_from_the_threshold_on(
    data: Examples, topics: Topics, tiny_encoder: Path, tmp_path: Path
) -> None:
    model = fit("baseline", data, topics, tiny_encoder)
    texts = [*WORDS, *(" ".join(words) for words in WORDS.values()), "Rain and sun.", ""]
    scores = model.predict_proba(numbered(texts[:-1]))
    confidence = scores.max(axis=1)
    assert len(set(confidence)) == 7
    sure = {}
    for threshold in (0.0, float(np.sort(confidence)[-3]), NEVER):
        model.save(tmp_path / "model", Calibration(sure=threshold))
        predictions = load(tmp_path / "model").predict(texts)
        # With any threshold, the most probable topic is predicted unless none is more probable.
        predicted = [row.topic is not None for row in predictions]
        assert predicted == [*(confidence >= 1 - scores.sum(axis=1)).tolist(), False]
        assert predicted[6:] == [False, False]
        sure[threshold] = [row.sure for row in predictions]
    assert sure[0.0] == predicted
    assert sum(sure[float(np.sort(confidence)[-3])]) == 3
    assert not any(sure[NEVER])


def test_predict_takes_one_text_or_many(model: Model) -> None:
    one = model.predict(TARIFF)
    assert one.topic == "trade" and one.topics == ("trade",)
    assert list(one.scores) == list(model.classes_)
    assert one.confidence == max(one.scores.values()) == one.scores[str(one.topic)]
    assert model.predict([TARIFF]) == [one]
    assert model.predict(iter([])) == []
    # A blank text has no topic.
    for text in ("", " \n\t"):
        blank, other = model.predict([text, TARIFF])
        assert (blank.topic, blank.topics, blank.sure, other) == (None, (), False, one)
        assert set(blank.scores.values()) == {blank.confidence} == {0.0}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([None], r"texts\[0\] is NoneType, not str; leave missing texts out"),
        (["a", float("nan")], r"texts\[1\] is float, not str; .*fillna"),
        ([pd.NA], r"texts\[0\] is NAType, not str; .*fillna"),
        ([b"a"], r"texts\[0\] is bytes, not str; decode it"),
        (["a", 3], r"texts\[1\] is int, not str$"),
        (pd.DataFrame({"text": ["a"], "id": [1]}), r"texts is a DataFrame.*df\[\"text\"\]"),
        (pa.table({"text": ["a"]}), r"texts is a Table.*df\[\"text\"\]"),
        ({"text": "a tariff"}, r"texts is a dict.*df\[\"text\"\]"),
        (b"a tariff", "iterable of str, not bytes"),
        (None, "iterable of str, not NoneType"),
        (7, "iterable of str, not int"),
    ],
)
def test_input_other_than_texts_is_refused(baseline_folder: Path, wrong: Any, message: str) -> None:
    model = load(baseline_folder)
    for predict in (model.predict, model.predict_proba):
        with pytest.raises(TypeError, match=message):
            predict(wrong)


def test_a_model_is_shown_in_a_line_and_is_not_pickled(model: Model) -> None:
    assert repr(model) == f"Model('{model.kind}', 3 topics, '{model.folder}')"
    with pytest.raises(TypeError, match=re.escape(f"load('{model.folder}')")):
        copy.copy(model)  # pickle calls the same method


def test_words_count_at_any_place_in_a_long_text(model: Model) -> None:
    words, inserted = ["talks"] * 5000, ["missile", "navy", "troops"]
    plain = model.predict(" ".join(words))
    # A window has 14 words and two special tokens, and shares 4 words with its neighbour.
    assert plain.windows == (500 if model.kind == "transformer" else 1)
    for place in (0, 1234, 2500, 4999):
        changed = model.predict(" ".join([*words[:place], *inserted, *words[place:]]))
        gaps = [abs(changed.scores[topic] - plain.scores[topic]) for topic in model.classes_]
        assert max(gaps) > 1e-6, place


def test_in_mode_multi_predictions_are_calibrated(
    make: Make, rows: pd.DataFrame, tmp_path: Path
) -> None:
    fitted, saved = make("baseline", None, "multi")
    calibration = Calibration((1.0, 2.0, 0.5), (0.0, 1.0, -1.0), (0.3, 0.5, 0.5))
    model = calibrated(saved, tmp_path / "model", calibration)
    texts = [*rows["text"], " ".join(rows["text"])]
    raw = fitted.predict_proba(numbered(texts))
    expected = expit(np.log(raw / (1 - raw)) * [1, 2, 0.5] + [0, 1, -1])
    np.testing.assert_allclose(model.predict_proba(texts), expected, rtol=0, atol=1e-12)
    thresholds = dict(zip(model.classes_, (0.3, 0.5, 0.5), strict=True))
    for prediction, row in zip(model.predict(texts), model.predict_proba(texts), strict=True):
        scores = dict(zip(model.classes_, row, strict=True))
        topics = [name for name in model.classes_ if scores[name] >= thresholds[name]]
        topics.sort(key=scores.__getitem__, reverse=True)
        assert list(prediction.topics) == topics
        assert prediction.topic == (topics[0] if topics else None)
        assert prediction.confidence == row.max()
        assert not prediction.sure
    blank = model.predict(" ")
    assert (blank.topics, blank.topic, blank.confidence) == ((), None, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_in_mode_multi_a_text_may_have_several_topics(kind: str, make: Make) -> None:
    text = "A tariff duty on export goods. The army and navy at the missile border."
    scores = make(kind, None, "multi")[0].predict_proba(numbered([text, "It rained."]))
    assert scores[0, [0, 2]].min() > scores[0, 1] and scores[0].max() > scores[1].max()
