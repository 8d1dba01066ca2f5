"""Messages to the user: mistakes, which end a program with one message, and numbers in words.

Programming errors are not handled here: they keep their own type and their traceback.
"""

from __future__ import annotations

import difflib
import errno
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from textwrap import shorten

# Exit status if all work was done, but some rows or labels have an error.
SOME_ERRORS = 3
# Most topics that a message names.
MOST_NAMED = 10
# Errors of a full disk, of a quota, and of a limit on the size of files.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What sentences about a corpus call its texts; a template has attributes of this name.
_PARAGRAPH = re.compile(r"(?<!\.)\b(a )?([Pp])aragraph(s)?\b")


class UserError(Exception):
    """A mistake in the user's files, params or arguments.

    The message says what is wrong, where it is (file, line, paragraph id or key) and what to do.
    """


def plural(n: int, one: str, many: str | None = None) -> str:
    """Write a number and what it counts, by default in the regular plural where it is not one.

    >>> plural(1, "article"), plural(2000, "article")
    ('1 article', '2,000 articles')
    >>> plural(1, "label is", "labels are"), plural(0, "label is", "labels are")
    ('1 label is', '0 labels are')
    """
    return f"{n:,} {one if n == 1 else many or _regular(one)}"


def _regular(noun: str) -> str:
    """The plural of a noun: entry → entries, speech → speeches."""
    noun = re.sub("(?<=[^aeiou])y$", "ie", noun)
    return re.sub("(ch|sh|s|x)$", r"\1e", noun) + "s"


def shortened(text: str, width: int, placeholder: str = " …") -> str:
    """Put a text on one line and cut it after a word, or inside one that is too long itself.

    `textwrap.shorten` leaves nothing of a text without blanks, such as a Chinese one.

    >>> shortened("Talks on trade", 12), shortened("部长会谈继续举行", 6)
    ('Talks on …', '部长会谈 …')
    """
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    return shorten(line, width - len(placeholder), placeholder="") + placeholder


def signed(number: float, digits: int) -> str:
    """A number with its sign, as people read it.

    >>> signed(-1.26, 1), signed(-0.001, 2)
    ('−1.3', '+0.00')
    """
    return f"{number:+z.{digits}f}".replace("-", "−")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest a known word for an unknown one, as the end of an error message.

    >>> did_you_mean("tradee", ["trade", "security"])
    ' (did you mean "trade"?)'
    >>> did_you_mean("weather", ["trade", "security"])
    ''
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def in_units(text: str, unit: str) -> str:
    """Write of sentences, say, in place of paragraphs.

    >>> in_units("a paragraph of 3 paragraphs", "sentence")
    'a sentence of 3 sentences'
    >>> in_units("a paragraph of 3 paragraphs", "entry")
    'an entry of 3 entries'
    >>> in_units("Paragraphs by label", "Satz/Sätze"), in_units("Paragraphs by label", "tweet")
    ('Sätze by label', 'Tweets by label')

    Parameters
    ----------
    unit
        What the project calls a text (`Params.unit`): the singular, and after a slash the plural if
        it is not the regular one of English.
    """
    one, _, many = unit.partition("/")
    article = "an " if one[0] in "aeiou" else "a "

    def noun(match: re.Match[str]) -> str:
        word = (many or _regular(one)) if match[3] else one
        word = word[0].upper() + word[1:] if match[2] == "P" else word
        return (article if match[1] else "") + word

    return _PARAGRAPH.sub(noun, text)


def in_short(names: Sequence[str], most: int = 1) -> str:
    """Write the first names of a list, one by default, and how many more there are.

    >>> in_short(["a.csv"]), in_short(["a.csv", "b.csv", "c.csv"])
    ('a.csv', 'a.csv and 2 more')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def refuse_repeated(where: str, names: Sequence[str]) -> None:
    """Raise an error where two columns have the same name."""
    if repeated := [name for name in names if names.count(name) > 1 and name]:
        raise UserError(f"{where}: there are two columns {repeated[0]}; rename one")


def run(main: Callable[[], None]) -> None:
    """Call a program's `main`; print the message of a `UserError` and exit with status 1.

    An error of the system that names a file, such as a full disk or a missing permission, is a
    matter for the user, too.
    """
    try:
        main()
    except UserError as error:
        sys.exit(f"paratopic: {error}")
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"paratopic: {where}{error.strerror or error}")
