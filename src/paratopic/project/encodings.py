"""Text of files: UTF-8, UTF-16, or an 8-bit encoding, which is found from the text.

Bytes do not tell an 8-bit encoding: nearly all of them are letters in each of these encodings. The
right one gives words of a language, as py3langid finds it, with the letters that this language has.
Other encodings, such as those of Chinese, are found by charset-normalizer.
"""

from __future__ import annotations

import logging
import math
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import charset_normalizer

from paratopic.project.errors import UserError
from paratopic.project.files import CONTROL, INVISIBLE
from paratopic.project.languages import READ_CHARACTERS, language_of, probabilities

log = logging.getLogger(__name__)

_BOMS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
# The encodings, and how probable each is before the text is read. Those of old Macs and of DOS are
# rare; three of Windows share most letters with cp1252 but are of fewer languages. Those of Windows
# contain ISO 8859-1, -8 and -9.
_ENCODINGS = {
    **dict.fromkeys(("cp1252", "cp1250", "iso8859-2", "cp1251", "koi8-r", "koi8-u"), 1.0),
    **dict.fromkeys(("iso8859-5", "cp1253", "iso8859-7", "cp1255"), 1.0),
    **dict.fromkeys(("cp1254", "cp1256", "cp1257", "iso8859-15"), 0.1),
    **dict.fromkeys(("mac_roman", "mac_latin2", "mac_cyrillic", "cp850", "cp852", "cp866"), 1e-3),
}
# Language → its small letters that ASCII lacks, with those of common loan words.
_RUSSIAN = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
_LANGUAGES = (
    "en áâãäåçèéêëíïñóôöúü, fr àâæçèéêëîïôùûüÿœ, de äöüßàèé, nl áèéêëíïóöü, es áéíñóúüªº, "
    "pt àáâãçéêíóôõúüªº, it àèéìíîòóùªº, ca àçèéíïòóúü, gl áéíñóúü, da æøåäéöü, no æøåéèóòô, "
    "sv åäöàéü, fi äöåéšž, is áðéíóúýþæö, et äöõüšž, lt ąčęėįšųūž, lv āčēģīķļņšūž, "
    "cs áčďéěíňóřšťúůýž, sk áäčďéíĺľňóôŕšťúýž, pl ąćęłńóśźż, hu áéíóöőúüű, sl čšž, hr čćđšž, "
    "ro ăâîşţ, sq çë, tr çğıİöşüâîû, el αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ, "
    f"ru {_RUSSIAN}ё, bg {_RUSSIAN}, uk {_RUSSIAN}іїєґ, be {_RUSSIAN}ёіў, sr {_RUSSIAN}ђјљњћџ, "
    f"mk {_RUSSIAN}ѓјѕљњќџ, he אבגדהוזחטיךכלםמןנסעףפץצקרשת, "
    "ar ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي, fa ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنهوي"
)
_LETTERS = {pair[:2]: pair[3:] for pair in _LANGUAGES.split(", ")}
_ALPHABETS = {code: {*letters, *letters.upper()} for code, letters in _LETTERS.items()}
# Encoding → the languages all of whose letters it has.
_WRITES = {
    encoding: {
        code
        for code, letters in _LETTERS.items()
        if letters.encode(encoding, "ignore").decode(encoding) == letters
    }
    for encoding in _ENCODINGS
}

# How much less probable a reading is for each letter that its language lacks or that stands where
# none does; and for each sign after a letter, or in an encoding that lacks letters of the language.
_STRANGE, _RARE = 0.01, 0.1
# No piece of a text tells more than this against a reading.
_LEAST = 1e-6
# An encoding counts if it is at least so probable, beside all others. And it is possible if pieces
# are in languages with these letters with at least this probability, on geometric average: one
# strange letter a piece.
CONFIDENCE, LEAST_FIT = 0.9, 0.9 * _STRANGE
# Pieces that are looked at, beside those in which a byte is met first.
_PIECES = 50

# A sign that stands in no word, between letters; and one after a letter.
_WITHIN = re.compile(
    r"[^\W\d_](?:(?![’‘–—…·])[^\x00-\x7f\w\s]|[¹²³¼½¾ªºµ])[^\W\d_]|[¤\u2320-\u259f]|[ςךםןףץ][^\W\d_]"
)
_AFTER = re.compile(r"(?!m[²³])[^\W\d_][¹²³¼½¾µ±¿¡¶¯¢£¥¦¨¬¸˛¤˘˙](?![^\W\d_])")
_CONTROL = re.compile(r"[\x80-\x9f]")


def decode(data: bytes, source: str) -> str:
    """Decode the bytes of a text file.

    A byte order mark names the encoding, UTF-8 or UTF-16, and is removed. Without one the text is
    UTF-8. Where it cannot be UTF-8, it is read in the encoding that gives words of a language with
    a probability of 90% or more (`CONFIDENCE`), and a note says so.

    Parameters
    ----------
    data
        Content of the file.
    source
        Where the bytes come from, for error messages: a path, "standard input".

    Raises
    ------
    UserError
        The bytes are not text in any encoding, or may be different texts in several; or the text is
        blank.
    """
    bom, encoding = next(
        (pair for pair in _BOMS.items() if data.startswith(pair[0])), (b"", "utf-8")
    )
    body = data[len(bom) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        # Nearly all bytes are valid cp1252. After a byte order mark, or after letters that are
        # valid UTF-8, the file is damaged UTF-8; as cp1252 its quotes would silently become 'â€™'.
        if bom or not body[: error.start].isascii():
            raise UserError(
                f"{source}: is not valid {encoding.upper()} at byte {len(bom) + error.start}. "
                "The file is damaged or mixes encodings: save it as UTF-8 again."
            ) from None
        text, encoding = _guess(body, source, error.start)
    if control := CONTROL.search(text):
        line = 1 + text.count("\n", 0, control.start())
        raise UserError(
            f"{source}: is not plain text: control character U+{ord(control[0]):04X} in line "
            f"{line}. Remove it. A PDF or Word document is no text file; UTF-16 needs its BOM."
        )
    if not text.translate(INVISIBLE).strip():
        raise UserError(f"{source}: holds no text. Give a file with at least one paragraph.")
    return text


def read_decoded(path: Path) -> str:
    """Read a text file in any encoding; a `UserError` says that it cannot be read, see `decode`."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _guess(data: bytes, source: str, first: int) -> tuple[str, str]:
    """Text that is not UTF-8 from its byte `first` on, and its encoding."""
    possible = encodings_of(data)
    if not possible:
        raise UserError(
            f"{source}: is not UTF-8 at byte {first} (0x{data[first]:02x}), and no other "
            "encoding fits. Save it as UTF-8."
        )
    encoding = possible[0]
    if len(possible) > 1:
        raise UserError(
            f"{source}: is not UTF-8. Is it {named(possible, data)}? Save it as UTF-8, or convert "
            f"it with the right one: `iconv -f {encoding} -t UTF-8`."
        )
    note = "%s: is not UTF-8, and is read as %s. If letters are wrong, save it as UTF-8"
    log.warning(note, source, encoding)
    return data.decode(encoding), encoding


def encodings_of(data: bytes) -> list[str]:
    """Find the encodings that bytes which are not UTF-8 may be in.

    Returns
    -------
    One if it has a probability of `CONFIDENCE` or more, beside all others that give another text.
    Else the three that are most probable, in this order; none where no encoding fits.
    """
    pieces, beyond_ascii = _pieces(data), bytes(byte for byte in sorted(set(data)) if byte > 127)
    fits: dict[str, tuple[float, str]] = {}
    for encoding in _ENCODINGS:
        with suppress(UnicodeDecodeError):
            letters = beyond_ascii.decode(encoding)
            if letters not in fits and not _CONTROL.search(letters):
                fits[letters] = _fit(pieces, encoding), encoding
    weights = {name: fit + math.log(_ENCODINGS[name]) for fit, name in fits.values()}
    ranked = sorted(weights, key=lambda name: -weights[name])
    if max(fits.values(), default=(-math.inf, ""))[0] < len(pieces) * math.log(LEAST_FIT):
        other = charset_normalizer.from_bytes(data).best()
        if other is None or (language_of(str(other)) or "en") in _LETTERS:
            return []
        return [other.encoding]
    total = sum(math.exp(weights[name] - weights[ranked[0]]) for name in ranked)
    return ranked[:1] if total <= 1 / CONFIDENCE else ranked[:3]


def named(encodings: Sequence[str], data: bytes) -> str:
    """Name encodings, each with the first word that the first two of them read otherwise.

    >>> print(named(["cp1250", "cp1252"], "Petr Čech".encode("cp1250")))
    cp1250 ("Čech") or cp1252 ("Èech")
    """
    differ = (b for b in data if len({bytes([b]).decode(name) for name in encodings[:2]}) > 1)
    place = data.index(next(differ))
    begin, end = (
        re.search(rb"[^\s,;]*$", data[max(0, place - 20) : place]),
        re.match(rb"[^\s,;]*", data[place : place + 20]),
    )
    word = b"".join(part[0] for part in (begin, end) if part)
    return " or ".join(f'{name} ("{word.decode(name)}")' for name in encodings)


def _pieces(data: bytes) -> list[bytes]:
    """Pieces of lines with bytes that ASCII lacks, among them the first with each such byte."""
    lines = dict.fromkeys(re.findall(rb"[^\r\n]{1,%d}" % READ_CHARACTERS, data))
    pieces = [line for line in lines if not line.isascii()]
    first = {byte: piece for piece in reversed(pieces) for byte in piece if byte > 127}
    return list(dict.fromkeys([*first.values(), *pieces[:: len(pieces) // _PIECES + 1]]))


def _fit(pieces: Sequence[bytes], encoding: str) -> float:
    """Logarithm of the probability that pieces have the letters of their languages."""
    fits = (_probability(piece.decode(encoding), _WRITES[encoding]) for piece in pieces)
    return sum(math.log(max(_LEAST, fit)) for fit in fits)


def _probability(text: str, languages: Collection[str]) -> float:
    """Probability that a text is in a language with its letters, and has no odd signs."""
    foreign = [char for char in text if char.isalpha() and not char.isascii()]
    odd = len(_WITHIN.findall(text)) + sum(map(_is_odd, text, text[1:]))
    fits = (
        share
        * (1.0 if code in languages else _RARE)
        * _STRANGE ** sum(letter not in _ALPHABETS[code] for letter in foreign)
        for code, share in probabilities(text).items()
        if code in _ALPHABETS
    )
    return sum(fits) * _STRANGE**odd * _RARE ** len(_AFTER.findall(text))


def _is_odd(one: str, other: str) -> bool:
    """Whether letters follow each other in no word: small and capital, or of two scripts."""
    if (one + other).isascii() or not (one + other).isalpha():
        return False
    return (one.islower() and other.isupper()) or (one < "\u0370") != (other < "\u0370")
