"""Messages for users: errors that end a program with one message, and words around numbers.

Programming errors are not handled: they keep their own type and their traceback.
"""

from __future__ import annotations

import difflib
import errno
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from textwrap import shorten

# Exit status of a command that finished, although some rows or labels have an error.
SOME_ERRORS = 3
# Most topics that a message names.
MOST_NAMED = 10
# Errors of a full disk, of a quota, and of a limit on the size of files.
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# The noun for texts in sentences about a corpus. Attributes in templates have the same name.
_PARAGRAPH = re.compile(r"(?<!\.)\b(a )?([Pp])aragraph(s)?\b")


class UserError(Exception):
    """A mistake in the user's files, params or arguments.

    The message names the mistake, its place (file, line, paragraph id or key) and the remedy.
    """


def plural(n: int, one: str, many: str | None = None) -> str:
    """Write a number with a noun, which has the regular plural by default.

    >>> plural(1, "article"), plural(2000, "article")
    ('1 article', '2,000 articles')
    >>> plural(1, "label is", "labels are"), plural(0, "label is", "labels are")
    ('1 label is', '0 labels are')
    """
    return f"{n:,} {one if n == 1 else many or _regular_plural(one)}"


def _regular_plural(noun: str) -> str:
    """The regular plural of a noun: entry → entries, speech → speeches."""
    noun = re.sub("(?<=[^aeiou])y$", "ie", noun)
    return re.sub("(ch|sh|s|x)$", r"\1e", noun) + "s"


def shortened(text: str, width: int, placeholder: str = " …") -> str:
    """Put a text on one line and cut it after a word, or inside a word that exceeds the width.

    `textwrap.shorten` would remove all of a text without blanks, such as a Chinese one.

    >>> shortened("Talks on trade", 12), shortened("部长会谈继续举行", 6)
    ('Talks on …', '部长会谈 …')
    """
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    return shorten(line, width - len(placeholder), placeholder="") + placeholder


def signed(number: float, digits: int) -> str:
    """Write a number with its sign, which is a real minus sign for negative numbers.

    >>> signed(-1.26, 1), signed(-0.001, 2)
    ('−1.3', '+0.00')
    """
    return f"{number:+z.{digits}f}".replace("-", "−")


def closest_word_hint(word: str, known: Iterable[str]) -> str:
    """Suggest the known word that is closest to an unknown one, for the end of an error message.

    >>> closest_word_hint("tradee", ["trade", "security"])
    ' (did you mean "trade"?)'
    >>> closest_word_hint("weather", ["trade", "security"])
    ''
    """
    closest = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{closest[0]}"?)' if closest else ""


def in_units(text: str, unit: str) -> str:
    """Replace the noun paragraph, and its article, in a text by the noun that the project uses.

    >>> in_units("a paragraph of 3 paragraphs", "sentence")
    'a sentence of 3 sentences'
    >>> in_units("a paragraph of 3 paragraphs", "entry")
    'an entry of 3 entries'
    >>> in_units("Paragraphs by label", "Satz/Sätze"), in_units("Paragraphs by label", "tweet")
    ('Sätze by label', 'Tweets by label')

    Parameters
    ----------
    unit
        The project's noun for a text (`Params.unit`): the singular, and after a slash the plural if
        it is not the regular one of English.
    """
    one, _, many = unit.partition("/")
    article = "an " if one[0] in "aeiou" else "a "

    def noun(match: re.Match[str]) -> str:
        word = (many or _regular_plural(one)) if match[3] else one
        word = word[0].upper() + word[1:] if match[2] == "P" else word
        return (article if match[1] else "") + word

    return _PARAGRAPH.sub(noun, text)


def shortened_list(names: Sequence[str], most: int = 1) -> str:
    """Write the first names of a list, by default one, and the number of further names.

    >>> shortened_list(["a.csv"]), shortened_list(["a.csv", "b.csv", "c.csv"])
    ('a.csv', 'a.csv and 2 more')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def refuse_repeated(where: str, names: Sequence[str]) -> None:
    """Raise a `UserError` if two columns have the same name."""
    if repeated := [name for name in names if names.count(name) > 1 and name]:
        raise UserError(f"{where}: there are two columns {repeated[0]}; rename one")


def run(main: Callable[[], None]) -> None:
    """Call a program's `main`; print the message of a `UserError` to stderr and exit with status 1.

    An OSError is handled in the same way if it names a file or means a full disk; others pass.
    """
    try:
        main()
    except UserError as error:
        sys.exit(f"paratopic: {error}")
    except OSError as error:
        if error.filename is None and error.errno not in DISK_FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"paratopic: {where}{error.strerror or error}")
