"""Models on a hub: their files are fetched at a revision, kept, and checked."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest

from paratopic.inference.manifest import digest_of
from paratopic.inference.model import load
from paratopic.project.errors import UserError
from paratopic.project.files import sha256
from tests.programs import python
from tests.samples import TARIFF

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOAD = """
import sys
from paratopic import UserError, load

try:
    model = load(sys.argv[1])
    print(model.folder, model.predict(sys.argv[2]).topic)
except UserError as error:
    print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """A hub with one model, in the interface that huggingface_hub expects."""

    def __init__(self, folder: Path, *args: object) -> None:
        self.folder = folder
        super().__init__(*args)  # type: ignore[arg-type]  # the class of socketserver needs them

    def do_GET(self) -> None:
        api, resolve = "/api/models/press/topics/", f"/press/topics/resolve/{COMMIT}/"
        paths = sorted(self.folder.iterdir())
        if self.path in (f"{api}revision/{name}" for name in ("main", "v1", COMMIT)):
            siblings = [{"rfilename": path.name} for path in paths]
            self._answer(json.dumps({"id": "press/topics", "sha": COMMIT, "siblings": siblings}))
        elif self.path.startswith(f"{api}tree/{COMMIT}?"):
            sizes = {path.name: path.stat().st_size for path in paths}
            files = [{"type": "file", "oid": "", "path": n, "size": sizes[n]} for n in sizes]
            self._answer(json.dumps(files))
        elif self.path.startswith(resolve):
            path = self.folder / self.path.removeprefix(resolve)
            self._answer(path.read_bytes(), {"ETag": sha256(path), "X-Repo-Commit": COMMIT})
        else:
            self._answer("{}", {"X-Error-Code": "RepoNotFound"}, 404)

    do_HEAD = do_GET

    def _answer(
        self,
        body: str | bytes,
        headers: Mapping[str, str] = MappingProxyType({}),
        status: int = 200,
    ) -> None:
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub(baseline_folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, baseline_folder)) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_model_is_fetched_at_a_revision_checked_and_kept(
    hub: str, baseline_folder: Path, tmp_path: Path
) -> None:
    def printed(address: str, endpoint: str = hub) -> str:
        env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path)}
        return python(LOAD, address, TARIFF, env=env, cwd=tmp_path, check=True).stdout

    digest = digest_of(baseline_folder)
    for address in ("press/topics", "press/topics@v1", f"press/topics@{COMMIT}#sha256:{digest}"):
        folder, topic = printed(address).split()
        assert (Path(folder).name, topic) == (COMMIT, "trade")
    assert f"its digest is {digest}" in printed(f"press/topics#sha256:{digest[::-1]}")
    assert "no such model could be loaded from the hub" in printed("press/others")
    # Without the hub, the cached files of this revision are used.
    nowhere = "http://127.0.0.1:9"
    assert printed(f"press/topics@{COMMIT}", nowhere).split() == [folder, topic]
    assert f"from the hub {nowhere}: " in printed("press/others", nowhere)


def test_a_folder_comes_before_a_hub(baseline_folder: Path, here: Path) -> None:
    with pytest.raises(UserError, match=r"the folder .*models/topics does not exist"):
        load("models/topics")
    (here / "press").mkdir()
    (here / "press/topics").symlink_to(baseline_folder)
    assert load("press/topics").digest == digest_of(baseline_folder)
