"""Mistakes of the user, which end a program with one message instead of a traceback.

Programming errors are not handled here: they keep their own type and their traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake in the user's files, params or arguments.

    The message says what is wrong, where it is (file, line, paragraph id or key) and what to do.
    """


def run(main: Callable[[], None]) -> None:
    """Call a program's `main`; print the message of a `UserError` and exit with status 1."""
    try:
        main()
    except UserError as error:
        sys.exit(f"paratopic: {error}")
