"""Texts in 8-bit encodings are decoded, or a message asks for their encoding."""

from __future__ import annotations

import re

import pytest

from paratopic.project.encodings import decode, possible_encodings
from paratopic.project.errors import UserError

CZECH = ["Prezident podepsal zákon o rozpočtu.", "V Brně včera sněžilo, říká meteorolog."]
POLISH = ["Prezydent podpisał ustawę o budżecie.", "Źródła donoszą o kryzysie w Łodzi."]
RUSSIAN = ["Привет мир, это текст номер один.", "Московский суд отложил рассмотрение дела."]
GREEK = ["Ο πρωθυπουργός ανακοίνωσε νέα μέτρα.", "Η ομάδα κέρδισε τον αγώνα χθες."]
TURKISH = ["Başbakan yeni önlemleri açıkladı.", "Dün İstanbul'da şiddetli yağmur yağdı."]
GERMAN = ["Die Regierung beschloss neue Maßnahmen.", "Köln schlägt München auf 5 km²."]
FRENCH = ["L’été dernier, la crise a frappé.", "Ça coûte 3 € à Noël."]
THAI = ["รัฐบาลวิจารณ์ภาษีเหล็กใหม่ ของยุโรปอย่างรุนแรง", "สหภาพแรงงานเรียกร้อง ให้คุ้มครองคนงาน"]
ENGLISH = ["It’s “fine”, José said in São Paulo.", "The café is Molière's."]


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize(
    ("sentences", "encoding"),
    [
        *((CZECH, "cp1250"), (CZECH, "iso8859-2"), (POLISH, "cp1250"), (POLISH, "iso8859-2")),
        *((RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (GREEK, "cp1253"), (GREEK, "iso8859-7")),
        *((TURKISH, "cp1254"), (TURKISH, "iso8859-9"), (GERMAN, "cp1252"), (FRENCH, "cp1252")),
        *((ENGLISH, "cp1252"), (THAI, "cp874")),
    ],
)
def test_texts_are_read_in_their_encoding(sentences: list[str], encoding: str, n: int) -> None:
    rows = "\n".join(f"{sentences[row % 2]}\t{'ab'[row % 2]}" for row in range(n))
    assert decode(f"text\tlabel\n{rows}".encode(encoding), "t.csv") == f"text\tlabel\n{rows}"


@pytest.mark.parametrize(
    ("text", "encoding", "readings"),
    [
        ("Petr Čech said so", "cp1250", 'cp1252 ("Èech") or cp1250 ("Čech")'),
        ("Erdoğan said so", "cp1254", 'cp1252 ("Erdoðan") or cp1250 ("Erdođan") or cp1254'),
    ],
)
def test_a_single_word_that_may_be_in_several_encodings_is_asked_about(
    text: str, encoding: str, readings: str
) -> None:
    with pytest.raises(UserError, match=re.escape(f"t.csv: is not UTF-8. Is it {readings}")):
        decode(f"text,label\n{text},a\n".encode(encoding), "t.csv")


@pytest.mark.parametrize("text", ["It costs £5 or €6.", "“Yes” – it’s 30°C…", "Müller said so."])
def test_signs_and_common_letters_are_those_of_cp1252(text: str) -> None:
    assert possible_encodings(text.encode("cp1252")) == ["cp1252"]


def test_rare_letters_count() -> None:
    lines = ["Die Straße ist naß."] * 3 + [f"Größe {number}" for number in range(2000)]
    text = "\n".join([*lines, "Der Minister flog nach São Paulo.", "Schluß."])
    assert decode(text.encode("cp1252"), "t.txt") == text
    assert possible_encodings("Жизнь – это хорошо".encode("cp1251")) == ["cp1251"]
