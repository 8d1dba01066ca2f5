"""Clean texts and find dates in cells, lines, properties of documents and names of files."""

from __future__ import annotations

import re
from datetime import date
from unicodedata import normalize

from paratopic.project.files import CONTROL, INVISIBLE, printable

# Maximum number of characters of a field, or of its name.
LONGEST = 300
# A year outside of this range, in the name of a file or on a web page, is no date.
FIRST_YEAR, LAST_YEAR = 1800, 2100

_DATE = re.compile(
    r"(\d{4})(?:(?P<by>[-/._])(\d{1,2})(?:(?P=by)(\d{1,2})"
    # The time of day, and its zone.
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-][\d:]{2,5}))?)?)?)?"
)
_YEAR_LAST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T][\d:]{4,8})?")
# Dates in words, which may follow a weekday or a place, and dates in Chinese, Japanese or Korean.
_WORD = r"[^\s\d.,،/]+"
_BEFORE = rf"(?:{_WORD}(?: {_WORD})?[,،] |{_WORD} )?"
_IN_WORDS = (
    re.compile(
        rf"{_BEFORE}(?:(?P<day>\d{{1,2}})(?:\.|er|re|º)? ?(?:de |d['’])?)?"
        rf"(?P<month>{_WORD})\.?,? (?:del? )?(?P<year>\d{{4}})"
    ),
    re.compile(rf"{_BEFORE}(?P<month>{_WORD})\.? (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})"),
    re.compile(r"(?P<year>\d{4})[年년] ?(?P<month>\d{1,2})[月월](?: ?(?P<day>\d{1,2})[日일])?"),
)
# Names of each month in English, German, French, Spanish, Italian, Portuguese, Dutch, Russian,
# Hindi, Hebrew and Arabic.
_MONTHS = """\
january januar jänner janvier enero gennaio janeiro januari января जनवरी ינואר يناير
february februar février febrero febbraio fevereiro februari февраля फ़रवरी פברואר فبراير
march märz mars marzo março maart марта मार्च מרץ مارس
april avril abril aprile апреля अप्रैल אפריל أبريل
may mai mayo maggio maio mei мая मई מאי مايو
june juni juin junio giugno junho июня जून יוני يونيو
july juli juillet julio luglio julho июля जुलाई יולי يوليو
august août agosto augustus августа अगस्त אוגוסט أغسطس
september septembre septiembre settembre setembro сентября सितंबर ספטמבר سبتمبر
october oktober octobre octubre ottobre outubro октября अक्टूबर אוקטובר أكتوبر
november novembre noviembre novembro ноября नवंबर נובמבר نوفمبر
december dezember décembre diciembre dicembre dezembro декабря दिसंबर דצמבר ديسمبر
""".splitlines()
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T\d{4,6}Z?)?")
_DAY_IN_NAME = re.compile(r"(?<!\d)([0-9]{4})(?P<by>[-_]?)([0-9]{2})(?P=by)([0-9]{2})(?!\d)")
_MONTH_IN_NAME = re.compile(r"(?<!\d)(?<!\d[-_])([0-9]{4})-([0-9]{2})(?![-_]?\d)")


def iso_date(text: str) -> str | None:
    """Return a date in ISO form, as precise as it is written; None if it is ambiguous or no date.

    The text may also have a time of day or, where the month is a word, a weekday or place before
    it; any other text makes the result None. Numbers with dots begin with the day or with the year.

    >>> [iso_date(text) for text in ("2025-9-5", "2025/09", "2025", "2025-09-15T10:00Z")]
    ['2025-09-05', '2025-09', '2025', '2025-09-15']
    >>> [iso_date(text) for text in ("15.09.2025", "9/15/2025", "15/9/2025")]
    ['2025-09-15', '2025-09-15', '2025-09-15']
    >>> iso_date("03/04/2025"), iso_date("2025-02-30"), iso_date("9999-12-31")
    (None, None, None)
    >>> [iso_date(text) for text in ("Dienstag, 3. März 2026", "3 févr. 2026", "2026年3月")]
    ['2026-03-03', '2026-02-03', '2026-03']
    """
    if match := _DATE.fullmatch(text):
        return _valid_date(match[1], match[3], match[4])
    if match := _YEAR_LAST.fullmatch(text):
        number, separator, next_number, year = match.groups()
        day_first = _valid_date(year, next_number, number)
        month_first = _valid_date(year, number, next_number)
        if separator == "." or not month_first:
            return day_first
        return None if day_first else month_first
    match = _COMPACT.fullmatch(text)
    return _valid_date(*match.groups()) if match else _in_words(text)


def day_in_words(text: str) -> str | None:
    """The day in ISO form if a text contains nothing else, such as "Wien, 3. März 2026"."""
    day = _in_words(text) or ""
    return day if len(day) == len("2025-09-15") else None


def date_in_name(name: str) -> str | None:
    """The first day in the name of a file, or else its first month; None without a date.

    >>> [date_in_name(name) for name in ("talks-20250915", "2025-09 talks", "call 2025091512")]
    ['2025-09-15', '2025-09', None]
    """
    days = [_valid_date(match[1], match[3], match[4]) for match in _DAY_IN_NAME.finditer(name)]
    months = [_valid_date(match[1], match[2], None) for match in _MONTH_IN_NAME.finditer(name)]
    dates = filter(None, [*days, *months])
    return next((day for day in dates if FIRST_YEAR <= int(day[:4]) <= LAST_YEAR), None)


def without_controls(text: str) -> str:
    """Remove control characters from a text; those that separate words become a blank.

    >>> without_controls("Talks\\x1fwent\\x92 on")
    'Talks went on'
    """
    return CONTROL.sub(lambda match: " " if match[0].isspace() else "", text)


def clean_line(line: str) -> str:
    """Normalise white space and drop invisible and control characters.

    >>> clean_line("\\xa0Trade\\u2009 and\\u200b tariffs")
    'Trade and tariffs'
    """
    return " ".join(without_controls(line.translate(INVISIBLE)).split())


def clean_field(text: str) -> str:
    """Put a text on one line, without control characters, and cut it to `LONGEST` characters.

    >>> clean_field(" Harbour\\x00\\nPress ")
    'Harbour Press'
    """
    return clean_line(printable(text[: 10 * LONGEST]))[:LONGEST].rstrip()


def _in_words(text: str) -> str | None:
    """The ISO form of a date that is written with the name of its month; None for another text."""
    for match in filter(None, (pattern.fullmatch(text) for pattern in _IN_WORDS)):
        if month := _month(match["month"]):
            return _valid_date(match["year"], month, match["day"])
    return None


def _month(name: str) -> str | None:
    """The number of a month from its name or its first letters, three or more.

    None if no month or several begin so. A number comes back unchanged, even if no month has it.

    >>> [_month(name) for name in ("Sept", "août", "jui", "במרץ", "12")]
    ['9', '8', None, '3', '12']
    """
    if name.isdecimal():
        return name
    name = normalize("NFC", name).casefold().removeprefix("ב")  # Hebrew: in
    name = f" {name}" if len(name) > 2 else f" {name} "
    numbers = [number for number, names in enumerate(_MONTHS, 1) if name in f" {names} "]
    return str(numbers[0]) if len(numbers) == 1 else None


def _valid_date(year: str, month: str | None, day: str | None) -> str | None:
    """Join a date's parts to ISO form up to a None; None for no real day, or year 0001 or 9999."""
    # Databases write their first or last possible day for a missing date.
    if year in ("0001", "9999"):
        return None
    try:
        iso = date(int(year), int(month or 1), int(day or 1)).isoformat()
    except ValueError:
        return None
    if month is None:
        return iso[:4]
    return iso[:7] if day is None else iso
