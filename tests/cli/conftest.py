"""Fixtures that tests of commands share."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import Any

import pytest

from paratopic.annotation.labelling_page import Session


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that `paratopic label` would serve, the latest last."""
    sessions: list[Session] = []

    def keep(session: Session, token: str) -> None:
        sessions.append(session)

    monkeypatch.setattr("paratopic.annotation.labelling_page.application", keep)
    monkeypatch.setattr("paratopic.annotation.labelling_page.serve", lambda *_: None)
    return sessions


@pytest.fixture
def lock_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function that makes the disk read-only from its call on.

    It does not change permissions, because the superuser of a container has all of them.
    """

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def read(file: Any, mode: str = "r", *others: Any, **options: Any) -> Any:
        return refuse() if set(mode) & set("wax+") else opened(file, mode, *others, **options)

    def call() -> None:
        for name in ("mkdir", "open", "replace", "unlink"):
            monkeypatch.setattr(os, name, refuse)
        monkeypatch.setattr(io, "open", read)
        monkeypatch.setattr("builtins.open", read)

    opened = io.open
    return call
