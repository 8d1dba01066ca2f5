"""Texts in 8-bit encodings are read right, or it is asked which encoding they have."""

from __future__ import annotations

import pytest

from paratopic.project.encodings import decode, encodings_of
from paratopic.project.errors import UserError

CZECH = ["Prezident podepsal zákon o rozpočtu.", "V Brně včera sněžilo, říká meteorolog."]
POLISH = ["Prezydent podpisał ustawę o budżecie.", "Źródła donoszą o kryzysie w Łodzi."]
RUSSIAN = ["Привет мир, это текст номер один.", "Московский суд отложил рассмотрение дела."]
GREEK = ["Ο πρωθυπουργός ανακοίνωσε νέα μέτρα.", "Η ομάδα κέρδισε τον αγώνα χθες."]
TURKISH = ["Başbakan yeni önlemleri açıkladı.", "Dün İstanbul'da şiddetli yağmur yağdı."]
GERMAN = ["Die Regierung beschloss neue Maßnahmen.", "Köln schlägt München auf 5 km²."]
FRENCH = ["L’été dernier, la crise a frappé.", "Ça coûte 3 € à Noël."]
ENGLISH = ["It’s “fine”, José said in São Paulo.", "The café is Molière's."]


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize(
    ("sentences", "encoding"),
    [
        *((CZECH, "cp1250"), (CZECH, "iso8859-2"), (POLISH, "cp1250"), (POLISH, "iso8859-2")),
        *((RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (GREEK, "cp1253"), (GREEK, "iso8859-7")),
        *((TURKISH, "cp1254"), (TURKISH, "iso8859-9"), (GERMAN, "cp1252"), (FRENCH, "cp1252")),
        (ENGLISH, "cp1252"),
    ],
)
def test_texts_are_read_in_their_encoding(sentences: list[str], encoding: str, n: int) -> None:
    rows = "\n".join(f"{sentences[row % 2]}\t{'ab'[row % 2]}" for row in range(n))
    assert decode(f"text\tlabel\n{rows}".encode(encoding), "t.csv") == f"text\tlabel\n{rows}"


def test_where_nothing_tells_encodings_apart_it_is_asked() -> None:
    data = "text,label\nPetr Čech said so in Plzeň,a\n".encode("cp1250")
    with pytest.raises(UserError, match=r't.csv: .* Is it cp1250 \("Čech"\) or cp1252 \("Èech"\)'):
        decode(data, "t.csv")


def test_rare_letters_are_looked_at() -> None:
    lines = ["Die Straße ist naß."] * 3 + [f"Größe {number}" for number in range(2000)]
    text = "\n".join([*lines, "Der Minister flog nach São Paulo.", "Schluß."])
    assert decode(text.encode("cp1252"), "t.txt") == text
    assert encodings_of("Жизнь – это хорошо".encode("cp1251")) == ["cp1251"]
