"""Where sentences of several languages end. The texts were written for this test."""

from __future__ import annotations

import pytest

from paratopic.inference.prediction import sentences

TEXTS = {
    "en": ['He said "No."', "Mr. Smith stayed.", "“Stay,” she said.", "The U.S. replied."],
    "de": [
        "Der Minister sagte: „Wir verhandeln.“",
        "Am 3. Oktober trifft er Dr. Meier, z. B. in Wien.",
        "Über Zölle spricht er am 12. März.",
    ],
    "fr": ["M. Dupont a dit : « Nous partons. »", "« Écoutez ! »", "État et droit restent."],
    "es": ["¿Qué pasa?", "¡Nada!", "El Sr. López dijo: «Vamos».", "Él también."],
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_sentence_ends_where_readers_of_its_language_end_it(language: str) -> None:
    text = " ".join(TEXTS[language])
    assert [text[start:end] for start, end in sentences(text)] == TEXTS[language]


def test_chinese_sentences_need_no_blank_between() -> None:
    parts = ["部长说：“我们会谈判。”", "会议在十月三日举行。", "真的吗？"]
    text = "".join(parts)
    assert [text[start:end] for start, end in sentences(text)] == parts
