"""The baseline's fit on many examples: fewer terms, and a strength chosen on some of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from paratopic import load
from paratopic.baseline import fit as baseline
from paratopic.baseline.settings import FITTING
from paratopic.inference.modes import Calibration, Integers, Scores, class_numbers, one_hot
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples, silent
from tests.samples import PARAMS, WORDS, paragraph

NAMES = tuple(WORDS)
TOPICS, SECTION = Topics("single", NAMES), PARAMS.section("baseline")


def made_up(n: int) -> Examples:
    """Examples of each topic in turn, in groups of two; each has a number that no other has."""
    rng = random.Random(3)
    texts = [f"{paragraph(NAMES[row % 3], rng)} {1000 + row}" for row in range(n)]
    groups = np.arange(n) // 2
    return Examples(numbered(texts), one_hot(np.arange(n) % 3, 3), groups, groups)


def test_terms_of_one_of_many_texts_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = made_up(60)
    few = baseline.fit(examples, TOPICS, SECTION, 1)
    monkeypatch.setattr(baseline, "FITTING", replace(FITTING, least_texts_to_drop_terms=60))
    many = baseline.fit(examples, TOPICS, SECTION, 1)
    terms = [set(model._union.features["words"].terms) for model in (few, many)]
    assert terms[1] < terms[0] and {"1000", "1059"} <= terms[0] - terms[1]
    hits = many.predict_proba(examples.texts).argmax(axis=1) == class_numbers(examples.targets)
    assert hits.mean() > 0.9


def test_a_fit_to_too_many_texts_draws_some_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = made_up(90)
    assert baseline.fit(examples, TOPICS, SECTION, 1).notes == ()
    monkeypatch.setattr(baseline, "MOST_TEXTS", 60)
    one = baseline.fit(examples, TOPICS, SECTION, 1)
    same = baseline.fit(examples, TOPICS, SECTION, 1)
    other = baseline.fit(examples, TOPICS, SECTION, 2)
    assert one.notes == ("learnt from 60 of 90 texts, drawn at random",)
    terms = [model._union.features["words"].terms for model in (one, same, other)]
    assert terms[0] == terms[1] != terms[2]
    assert sum(term.isdigit() for term in terms[0]) == 60  # each text has a number of its own
    hits = one.predict_proba(examples.texts).argmax(axis=1) == class_numbers(examples.targets)
    assert hits.mean() > 0.9


def test_the_history_has_the_strengths_in_the_order_of_the_params() -> None:
    losses = {}
    for strengths in ((1.0, 10.0, 100.0), (100.0, 1.0, 10.0)):
        section = replace(SECTION, strengths=strengths)
        history = baseline.fit(made_up(60), TOPICS, section, 1).history
        assert tuple(history["C"]) == strengths
        losses[strengths] = history.set_index("C")["log_loss"].sort_index().tolist()
    one, other = losses.values()
    assert one == other and len(set(one)) == 3


def test_a_topic_of_one_group_is_trained_on_while_the_strength_is_chosen_on_the_others() -> None:
    examples, topics = made_up(60), Topics("single", (*NAMES, "sport"))
    texts = [*examples.texts.plain, "The team won the cup."]
    targets = np.vstack([np.pad(examples.targets, ((0, 0), (0, 1))), [False] * 3 + [True]])
    groups = np.append(examples.groups, 30)
    one_sport = Examples(numbered(texts), targets, groups, groups)
    history = baseline.fit(one_sport, topics, SECTION, 1).history
    assert np.isfinite(history["log_loss"]).all()
    # If every topic is in one group, nothing can be held out.
    by_topic = replace(one_sport, groups=targets.argmax(axis=1))
    assert baseline.fit(by_topic, topics, SECTION, 1).history["log_loss"].isna().all()


def test_all_fits_in_mode_multi_use_the_middle_strength() -> None:
    """Otherwise thresholds of folds do not suit a final model that chose another strength."""
    topics, section = Topics("multi", NAMES), replace(SECTION, strengths=(100.0, 1.0, 10.0))
    for n in (12, 60):
        model = baseline.fit(made_up(n), topics, section, 1)
        assert model.history["log_loss"].isna().all()
        middle = baseline.fit(made_up(n), topics, replace(section, strengths=(10.0,)), 1)
        np.testing.assert_array_equal(model._head.coef, middle._head.coef)


def test_threads_do_not_change_a_fit(topics: Topics) -> None:
    models = []
    for threads in (1, 3):
        with threadpool_limits(threads):
            models.append(baseline.fit(made_up(60), topics, SECTION, 1))
    one, other = models
    pd.testing.assert_frame_equal(one.history, other.history, check_exact=True)
    np.testing.assert_array_equal(one._head.coef, other._head.coef)


def test_macro_f1_chooses_among_strengths_with_similar_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """.1 is worse by more than its standard error; C = 1 has the best macro-F1 of the others."""
    noise, strengths = np.tile([-0.1, 0.1], 30), (100.0, 0.1, 1.0, 10.0)
    section = replace(SECTION, strengths=strengths)

    def scores(train: Integers, test: Integers, candidates: Iterable[float]) -> Iterator[Scores]:
        return (np.zeros((len(test), 3)) for _ in candidates)

    def choose(losses: list[float], macro_f1: list[float]) -> float:
        noisy = (loss + n * noise for n, loss in enumerate(losses))
        measured = zip(noisy, macro_f1, strict=True)
        monkeypatch.setattr(baseline, "_losses_and_macro_f1", lambda *_: next(measured))
        arguments = made_up(60), TOPICS, scores, section, 1, silent
        strength, history = baseline._choose_strength(*arguments)
        assert history["C"].tolist() == list(strengths)
        assert history["log_loss"].tolist() == pytest.approx([losses[3], *losses[:3]])
        return strength

    # The losses are in the order of strengths, .1, 1, 10, 100. The last one is lowest.
    assert choose([0.9, 0.52, 0.51, 0.5], [0.9, 0.8, 0.6, 0.6]) == 1.0
    assert choose([0.9, 0.52, 0.51, 0.5], [0.9, 0.6, 0.6, 0.6]) == 100.0
    assert choose([0.52, 0.52, 0.51, 0.5], [0.9, 0.8, 0.6, 0.6]) == 0.1


# Written for this test. The texts of a topic share words of two characters, but no three in a row.
UNSPACED = {
    "trade": ["关税又涨了。", "新关税来了。", "他谈关税。", "关税不降。"],
    "weather": ["大雨不停。", "今天大雨。", "又下大雨了。", "大雨来了。"],
}


def test_words_without_blanks_between_them_are_features_of_characters(tmp_path: Path) -> None:
    texts, topics = [*chain(*UNSPACED.values())], Topics("single", tuple(UNSPACED))
    groups = np.arange(8)
    examples = Examples(numbered(texts), one_hot(groups // 4, 2), groups, groups)
    fitted = baseline.fit(examples, topics, SECTION, 1)
    assert list(fitted._union.features) == ["characters"]
    terms = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5)).fit(texts)
    assert [*fitted._union.features["characters"].terms] == [*terms.get_feature_names_out()]
    fitted.save(tmp_path / "m", Calibration())
    model = load(tmp_path / "m")
    scores = model.predict_proba(["降关税吗？", "明天大雨？"])
    np.testing.assert_array_equal(scores.argmax(axis=1), [0, 1])
    np.testing.assert_allclose(
        scores, fitted.predict_proba(numbered(["降关税吗？", "明天大雨？"])), atol=1e-6
    )


@pytest.mark.parametrize(
    "texts", [WORDS["trade"], ["Der Zoll steigt.", "关税上升了。"], ["የንግድ ሚኒስትሩ ተናግረዋል።"], []]
)
def test_words_between_blanks_are_features(texts: list[str]) -> None:
    common = {"sublinear_tf": True, "strip_accents": "unicode"}
    assert baseline._keywords(SECTION, texts, TOPICS) == {
        "words": common | {"analyzer": "word", "ngram_range": [1, 2]},
        "characters": common | {"analyzer": "char_wb", "ngram_range": [3, 5]},
    }
