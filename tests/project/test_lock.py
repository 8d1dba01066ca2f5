"""Half-written locks are recognised, a whole dvc.lock is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.project import lock
from paratopic.project.errors import UserError

WHOLE = """\
schema: '2.0'
stages:
  split:
    cmd: python split.py
    params:
      params.yaml:
        seed: 1
    outs:
    - path: data/folds.parquet
      hash: md5
      md5: 4a03d1cfc5d2cb1b8d98e3a801b6eed8
      size: 16433
"""


def test_a_whole_lock_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text(WHOLE)
    (out,) = lock.read_lock(path)["stages"]["split"]["outs"]
    assert out["size"] == 16433


def test_before_the_first_run_it_says_that_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dvc.lock not found: run `dvc repro` first"):
        lock.read_lock(tmp_path / "dvc.lock")


@pytest.mark.parametrize("end", ["", "    params:\n", "      params", "    - pat", "'2"])
def test_a_torn_lock_is_refused_with_what_brings_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.chdir(tmp_path)
    lock.main()  # before the first run there is none
    Path("dvc.lock").write_text(WHOLE[: WHOLE.index(end) + len(end)])
    with pytest.raises(UserError, match=r"^dvc.lock is damaged.*git checkout dvc.lock.*dvc repro"):
        lock.main()


@pytest.mark.parametrize("torn", ["", '{"write": {', "\x00\x00"])
def test_a_torn_lock_of_dvc_itself_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(".dvc/tmp/rwlock")
    path.parent.mkdir(parents=True)
    path.write_text('{"write": {}, "read": {}}')
    lock.main()
    path.write_text(torn)
    with pytest.raises(UserError, match=r"^\.dvc/tmp/rwlock is damaged.*Delete it.*dvc repro"):
        lock.main()
