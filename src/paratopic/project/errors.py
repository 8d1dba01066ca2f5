"""What goes wrong because of what the user gave: told in one message, never as a traceback.

Programming errors are not for this module: they keep their own type and their traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake in files, params or arguments. The message says what, where and what to do."""


def run(main: Callable[[], None]) -> None:
    """Run a program's `main`; a `UserError` becomes a message on stderr and exit status 1."""
    try:
        main()
    except UserError as error:
        sys.exit(f"paratopic: {error}")
