"""Scripts without capitals, without blanks between words, or with full stops of their own.

The constants are for character classes of regular expressions. They do not depend on a language.
"""

from __future__ import annotations

import re

# Chinese and Japanese: a word has about two characters.
CJK = r"\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
# Thai, Lao, Burmese and Khmer: a word has about five letters and signs.
THAI = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# Letters without capitals: Hebrew to Georgian, Ethiopic to Mongolian, East Asian ones.
UNCASED = r"\u05d0-\u10ff\u1200-\u1cff\u2d80-\u2ddf\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af"
# Marks at the ends of sentences in other scripts than the Latin one: full stops, including those of
# Urdu, Hindi, Amharic, Armenian, Burmese and Khmer; and question marks, including that of Arabic.
STOPS = "\u3002\uff01\uff61\u06d4\u0964\u0965\u1362\u1368\u0589\u104b\u17d4"
QUESTIONS = "\uff1f\u061f\u1367"
# Signs that may follow such a mark.
CLOSERS = r"\"'’”»」』）)\]"

_WORDS_WITHOUT_BLANKS = re.compile(rf"[{CJK}]{{2}}|[{THAI}]{{5}}")
_UNSPACED = re.compile(rf"[{CJK}{THAI}]")


def n_words(text: str) -> int:
    """Estimate the number of words in a text, including those that no blank separates.

    >>> n_words("Talks on trade"), n_words("部长会谈"), n_words("การเจรจาเริ่มแล้ว")
    (3, 3, 4)
    """
    unspaced = 0 if text.isascii() else len(_WORDS_WITHOUT_BLANKS.findall(text))
    return len(text.split()) + unspaced


def is_unspaced(text: str) -> bool:
    """Whether most of a text is in a script that puts no blanks between words.

    >>> is_unspaced("Talks on trade in 北京"), is_unspaced("部长在 Madrid 举行会谈")
    (False, True)
    """
    if text.isascii():
        return False
    return 2 * len(_UNSPACED.findall(text)) > len("".join(text.split()))
