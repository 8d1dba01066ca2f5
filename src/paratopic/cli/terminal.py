"""The terminal that commands print to."""

from __future__ import annotations

from rich.console import Console


def terminal(highlight: bool = True) -> Console:
    """Stdout, on which names and texts are as they are, whatever brackets and colons they have.

    Parameters
    ----------
    highlight
        Whether numbers and the like have colours; True by default.
    """
    return Console(highlight=highlight, markup=False, emoji=False)
