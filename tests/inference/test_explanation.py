"""The share of a sentence is the difference of the logits without it, for every model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paratopic import Explanation, Share, load
from paratopic.inference.model import Model
from paratopic.inference.modes import Calibration
from paratopic.inference.prediction import sentences
from paratopic.project.passages import N_NEIGHBOURS, Passage
from paratopic.project.texts import Text, as_passage, plain_texts
from paratopic.project.topics import NO_TOPIC_SHORT, Topics
from paratopic.training.examples import Fitted
from tests.inference.conftest import Make, calibrated
from tests.samples import CONTEXT_WEIGHTS, KINDS, WORDS, examples, fit

TEXT = (
    "Officials said that the tariff on export goods would rise. The navy left the port.\nIt rained."
)
LONG = f"{TEXT} " * 40


def logits_of(model: Model, text: Text) -> dict[str, float]:
    """Compute relative logits independently: from the probabilities that are not 0."""
    mode = model.mode
    logits = mode.logits(mode.complete(model.predict_proba([text])))[0]
    all_logits = dict(zip((*model.classes_, NO_TOPIC_SHORT), logits, strict=False))
    known = {name: logit for name, logit in all_logits.items() if np.isfinite(logit)}
    if mode.name == "single":
        mean = np.mean(list(known.values()))
        known = {name: logit - mean for name, logit in known.items()}
    return known


def without(text: Text, part: Share | str) -> Text:
    """The text without a sentence, or without a part of its context."""
    if isinstance(part, str):
        return replace(as_passage(text), **{part: ""})
    (own,) = plain_texts([text])
    rest = own[: part.start] + own[part.end :]
    return replace(text, text=rest) if isinstance(text, Passage) else rest


def check(model: Model, text: Text) -> Explanation:
    """Explain a text, and check each part by leaving it out."""
    explanation, (own,) = model.explain(text), plain_texts([text])
    logits = explanation.logits
    assert explanation.prediction == model.predict(text)
    assert logits == pytest.approx(logits_of(model, text), abs=2e-4)
    assert all(own[part.start : part.end] == part.text for part in explanation.sentences)
    parts = [(part, part.shares) for part in explanation.sentences] + [*explanation.context.items()]
    for part, shares in parts:
        rest = without(text, part)
        is_blank = not plain_texts([rest])[0].strip()
        rest_logits = dict.fromkeys(logits, 0.0) if is_blank else logits_of(model, rest)
        expected = {name: logits[name] - rest_logits[name] for name in logits}
        assert shares == pytest.approx(expected, abs=1e-3)
    return explanation


def present(passage: Passage) -> set[str]:
    """The parts of the context that a model reads and that are not blank."""
    near = {
        "title": [passage.title],
        "heading": [passage.heading],
        "before": passage.before[-N_NEIGHBOURS:],
        "after": passage.after[:N_NEIGHBOURS],
    }
    return {part for part, texts in near.items() if "".join(texts).strip()}


@pytest.mark.parametrize("text", [TEXT, LONG], ids=["short", "long"])
def test_a_sentence_has_a_share_in_its_topic(model: Model, text: str) -> None:
    explanation = check(model, text)
    assert [part.text for part in explanation.sentences[:3]] == [
        "Officials said that the tariff on export goods would rise.",
        "The navy left the port.",
        "It rained.",
    ]
    if text == LONG:  # one sentence less changes little if there are 40 of each
        return
    first, second, _ = [part.shares for part in explanation.sentences]
    assert first["trade"] > second["trade"]
    assert second["security"] - second["trade"] > first["security"] - first["trade"]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=80) | st.lists(st.sampled_from([*"ÀÇß¨.", "navy"])).map(" ".join))
def test_sentences_of_any_text_are_left_out(model: Model, text: str) -> None:
    if text.strip():
        check(model, text)
    else:
        assert model.explain(text) == Explanation(model.predict(text), {}, [], {}, {})


KNOWN = st.lists(st.sampled_from([*WORDS["trade"], *WORDS["security"]]), max_size=4).map(" ".join)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    st.builds(
        Passage,
        st.lists(st.sampled_from(["Navy.", "Tariff", "ß☃"]), min_size=1, max_size=40).map(" ".join),
        st.lists(KNOWN, max_size=4),
        st.lists(KNOWN, max_size=4),
        KNOWN,
        KNOWN,
    )
)
def test_parts_of_any_passage_are_left_out(reading: tuple[Fitted, Path], passage: Passage) -> None:
    assert set(check(load(reading[1]), passage).context) == present(passage)


def test_context_has_a_share_in_its_topics(reading: tuple[Fitted, Path]) -> None:
    model = load(reading[1])
    passage = Passage(TEXT, "Missile, army and navy.", (), "Tariff, quota, customs duty.")
    explanation = check(model, passage)
    assert list(explanation.context) == ["heading", "before"]
    heading, before = explanation.context["heading"], explanation.context["before"]
    heading_lead = heading["trade"] - heading["security"]
    before_lead = before["trade"] - before["security"]
    assert heading_lead > 0 and heading_lead > 0.3 / 0.6 * before_lead
    if model.kind == "baseline":  # the tiny encoder's embeddings of any two texts are similar
        assert before_lead < 0
    sentences_of_text = model.explain(TEXT).sentences
    assert [part.text for part in explanation.sentences] == [
        part.text for part in sentences_of_text
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_left_out_in_mode_multi_with_a_calibration(
    kind: str, make: Make, tmp_path: Path
) -> None:
    calibration = Calibration(
        (1.0, 2.0, 0.5),
        (0.0, 1.0, -1.0),
        (0.3, 0.5, 0.5),
        without_context=Calibration((3.0,), (0.5,), (0.2,)),
    )
    loaded = calibrated(make(kind, CONTEXT_WEIGHTS, "multi")[1], tmp_path / kind, calibration)
    for text in (TEXT, LONG):
        assert set(check(loaded, text).logits) == set(WORDS)
        passage = Passage(text, "The navy left.", ("", "Tariffs."), "Trade", " ")
        assert set(check(loaded, passage).context) == {"before", "after", "heading"}


def test_a_topic_without_examples_is_left_out(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows = rows[rows["topic"].isin([("trade",), ("security",)])]
    topics = Topics("single", tuple(WORDS))
    fitted = fit("baseline", examples(rows, topics.names), topics, tmp_path)
    fitted.save(tmp_path / "m", Calibration())
    assert set(check(load(tmp_path / "m"), TEXT).logits) == {"trade", "security"}


def test_only_a_text_is_explained(model: Model) -> None:
    with pytest.raises(TypeError, match="must be a str or a Passage, not list"):
        model.explain([TEXT])  # type: ignore[arg-type]  # the mistake that is tested


# These sentences were written for this test.
SENTENCES = {
    "en": ['He said "No."', "Mr. Smith stayed.", "“Stay,” she said.", "The U.S. Navy left."],
    "marks": ['Mr. Li said: "No deal."', "Then 3.5 per cent?!", "(It did.)", "And so"],
    "de": [
        "Der Minister sagte: „Wir verhandeln.“",
        "Am 3. Oktober trifft er Dr. Meier, z. B. in Wien.",
        "Über Zölle spricht er am 12. März.",
    ],
    "fr": ["M. Dupont a dit : « Nous partons. »", "« Écoutez ! »", "État et droit restent."],
    "es": ["¿Qué pasa?", "¡Nada!", "El Sr. López dijo: «Vamos».", "Él también."],
    "units": ["Es kostet 1,2 Mrd. Euro.", "En EE. UU. hay dudas.", "MM. Roy et Blanc partent."],
    "ar": ["قال الوزير إن المحادثات ستستمر.", "فهل تكفي؟", "لا أحد يعرف!", "وأضاف: «لن نستسلم»."],
    "he": ['השר אמר: "לא נוותר."', "האם די בכך?", "3 שרים נפגשו."],
    "am": ["ድርድሩ ቀጥሏል።", "“ተስፋ አንቆርጥም።”", "በቂ ነው፧", "ዓ.ም. ነው"],
    "hi": ['उन्होंने कहा, "हम तैयार हैं।"', "क्या यह सही है?", "डॉ. सिंह आए।"],
    "th": ["รัฐมนตรีกล่าวว่าการเจรจาจะดำเนินต่อไป", "ยังไม่มีใครทราบ 12 เมษายน"],
    # Chinese and Japanese have no blanks between sentences.
    "zh": ["部长说：“我们会谈判。”", "会议在十月三日举行。", "真的吗？"],
    "ja": ["「関税は上がる。」", "首相は述べた。", "本当か？"],
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_ends_where_readers_of_its_language_end_it(language: str) -> None:
    expected = SENTENCES[language]
    text = ("" if language in ("zh", "ja") else " ").join(expected)
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_a_line_ends_a_sentence_and_a_blank_text_has_none() -> None:
    assert list(sentences("And so\non.")) == [(0, 6), (7, 10)]
    assert list(sentences(" \n ")) == []
