"""What several tests of commands share."""

from __future__ import annotations

import pytest

from paratopic.annotation.page import Session


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that `paratopic label` would serve, the latest last."""
    sessions: list[Session] = []

    def keep(session: Session, token: str) -> None:
        sessions.append(session)

    monkeypatch.setattr("paratopic.annotation.page.application", keep)
    monkeypatch.setattr("paratopic.annotation.page.serve", lambda *_: None)
    return sessions
