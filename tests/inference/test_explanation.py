"""The share of a sentence is what the logits lose without it, whatever the model."""

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
from paratopic.project.passages import REACH, Passage
from paratopic.project.texts import Text, as_passage, plain
from paratopic.project.topics import NONE, Topics
from paratopic.training.examples import Fitted
from tests.inference.conftest import Make, calibrated
from tests.samples import KINDS, READING, WORDS, examples, fit

TEXT = (
    "Officials said that the tariff on export goods would rise. The navy left the port.\nIt rained."
)
LONG = f"{TEXT} " * 40


def logits_of(model: Model, text: Text) -> dict[str, float]:
    """Relative logits by another way: from the probabilities, with those that are not known out."""
    mode = model.mode
    logits = mode.logits(mode.complete(model.predict_proba([text])))[0]
    named = dict(zip((*model.classes_, NONE), logits, strict=False))
    known = {name: logit for name, logit in named.items() if np.isfinite(logit)}
    if mode.name == "single":
        mean = np.mean(list(known.values()))
        known = {name: logit - mean for name, logit in known.items()}
    return known


def without(text: Text, part: Share | str) -> Text:
    """The text without a sentence, or without a part of what stands around it."""
    if isinstance(part, str):
        return replace(as_passage(text), **{part: ""})
    (own,) = plain([text])
    rest = own[: part.start] + own[part.end :]
    return replace(text, text=rest) if isinstance(text, Passage) else rest


def check(model: Model, text: Text) -> Explanation:
    """Explain a text, and check each part by leaving it out."""
    why, (own,) = model.explain(text), plain([text])
    assert why.prediction == model.predict(text)
    assert why.logits == pytest.approx(logits_of(model, text), abs=2e-4)
    assert all(own[part.start : part.end] == part.text for part in why.sentences)
    parts = [(part, part.shares) for part in why.sentences] + [*why.context.items()]
    for part, shares in parts:
        rest = without(text, part)
        left = logits_of(model, rest) if plain([rest])[0].strip() else dict.fromkeys(why.logits, 0)
        assert shares == pytest.approx({n: why.logits[n] - left[n] for n in why.logits}, abs=1e-3)
    return why


def present(passage: Passage) -> set[str]:
    """The parts of what stands around a text that are not blank, as far as they are read."""
    near = {
        "title": [passage.title],
        "heading": [passage.heading],
        "before": passage.before[-REACH:],
        "after": passage.after[:REACH],
    }
    return {part for part, texts in near.items() if any(text.strip() for text in texts)}


@pytest.mark.parametrize("text", [TEXT, LONG], ids=["short", "long"])
def test_a_sentence_speaks_for_its_topic(model: Model, text: str) -> None:
    why = check(model, text)
    assert [part.text for part in why.sentences[:3]] == [
        "Officials said that the tariff on export goods would rise.",
        "The navy left the port.",
        "It rained.",
    ]
    if text == LONG:  # where each sentence is there 40 times, one less changes little
        return
    first, second, _ = (part.shares for part in why.sentences)
    lead = [shares["security"] - shares["trade"] for shares in (first, second)]
    assert first["trade"] > second["trade"] and lead[1] > lead[0]


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


def test_what_stands_around_a_text_speaks_for_its_topics(reading: tuple[Fitted, Path]) -> None:
    model = load(reading[1])
    passage = Passage(TEXT, "Missile, army and navy.", (), "Tariff, quota, customs duty.")
    why = check(model, passage)
    assert list(why.context) == ["heading", "before"]
    for_trade = {part: shares["trade"] - shares["security"] for part, shares in why.context.items()}
    assert for_trade["heading"] > 0 and for_trade["heading"] > 0.3 / 0.6 * for_trade["before"]
    if model.kind == "baseline":  # the tiny encoder's embeddings of any two texts are similar
        assert for_trade["before"] < 0
    assert [part.text for part in why.sentences] == [
        part.text for part in model.explain(TEXT).sentences
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_left_out_in_mode_multi_with_a_calibration(
    kind: str, make: Make, tmp_path: Path
) -> None:
    alone = Calibration((3.0,), (0.5,), (0.2,))
    both = Calibration((1.0, 2.0, 0.5), (0.0, 1.0, -1.0), (0.3, 0.5, 0.5), alone=alone)
    loaded = calibrated(make(kind, READING, "multi")[1], tmp_path / kind, both)
    for text in (TEXT, LONG):
        assert set(check(loaded, text).logits) == set(WORDS)
        why = check(loaded, Passage(text, "The navy left.", ("", "Tariffs."), "Trade", " "))
        assert set(why.context) == {"before", "after", "heading"}


def test_a_topic_without_examples_is_left_out(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows = rows[rows["topic"].isin([("trade",), ("security",)])]
    topics = Topics("single", tuple(WORDS))
    fitted = fit("baseline", examples(rows, topics.names), topics, tmp_path)
    fitted.save(tmp_path / "m", Calibration())
    assert set(check(load(tmp_path / "m"), TEXT).logits) == {"trade", "security"}


def test_only_a_text_is_explained(model: Model) -> None:
    with pytest.raises(TypeError, match="must be a str or a Passage, not list"):
        model.explain([TEXT])  # type: ignore[arg-type]  # the mistake that is tested


# They were written for this test.
OF_LANGUAGES = {
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
    # There is no blank between.
    "zh": ["部长说：“我们会谈判。”", "会议在十月三日举行。", "真的吗？"],
    "ja": ["「関税は上がる。」", "首相は述べた。", "本当か？"],
}


@pytest.mark.parametrize("language", OF_LANGUAGES)
def test_a_sentence_ends_where_readers_of_its_language_end_it(language: str) -> None:
    expected = OF_LANGUAGES[language]
    text = ("" if language in ("zh", "ja") else " ").join(expected)
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_a_line_ends_a_sentence_and_a_blank_text_has_none() -> None:
    assert list(sentences("And so\non.")) == [(0, 6), (7, 10)]
    assert list(sentences(" \n ")) == []
