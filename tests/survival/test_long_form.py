"""The long form: kills at random times and fuzzed inputs by the thousand.

    pytest -m long -n 2 tests/survival/test_long_form.py --log-cli-level INFO

takes some hours. Each test is divided into parts, of which `-k part0` chooses one. A killed program
loses nothing that it confirmed, and the next one continues from there. A reader reads any input or
refuses it with one message, in bounded time and memory.
"""

from __future__ import annotations

import csv
import functools
import json
import logging
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from paratopic.annotation import exchange
from paratopic.corpus.table import read_paragraphs
from paratopic.inference.model import load
from paratopic.labels.log import Label, append, read_lines
from paratopic.labels.votes import latest_votes
from paratopic.project.errors import UserError
from paratopic.project.files import DRAFT, Paths
from paratopic.project.params import read_params
from paratopic.project.topics import Topics
from tests.annotation.test_annotate import kill_again_and_again, start_project
from tests.annotation.test_exchange import annotation, task
from tests.bulk.bulk_runs import predict, read_shards
from tests.inference.test_manifest import JSON_PIECES, load_damaged, one_damaged
from tests.programs import ROOT, killed, runs, sh
from tests.reading.test_any_bytes import WHOLE, check, contents, damaged
from tests.samples import TOPICS, copy_settings, write_params
from tests.survival.test_writers import COMMAND

KILLS, INPUTS = 100, 20_000
# Number of kills of runs that ask a language model.
ASKING_KILLS = 200
# Each test is divided into parts, so that it can be run in pieces of minutes.
PARTS = 10
# Limits for one input: seconds of CPU time, and bytes of memory.
MOST_SECONDS, MOST_BYTES = 20, 1_000_000_000

pytestmark = pytest.mark.long
log = logging.getLogger(__name__)

many = settings(
    max_examples=INPUTS // PARTS,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def contents_of(folder: Path, *names: str) -> dict[str, bytes]:
    """The bytes of files and of all files in folders, without drafts, which stay for an hour."""
    contents: dict[str, bytes] = {}
    for name in names:
        for path in [folder / name, *(folder / name).rglob("*")]:
            is_draft = any(map(DRAFT.fullmatch, path.parts))
            if path.is_file() and not is_draft:
                contents[str(path.relative_to(folder))] = path.read_bytes()
    return contents


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    return folder


@pytest.fixture(params=range(PARTS), ids="part{}".format)
def part(request: pytest.FixtureRequest) -> int:
    """Number of a part, which is its seed."""
    number: int = request.param
    return number


OUTPUTS = ("data", "models", "reports")
# Files that DVC does not write atomically.
LOCKS = ("dvc.lock", ".dvc/tmp/rwlock")


def only_baseline(folder: Path) -> None:
    """Reduce a project to the baseline, so that each stage takes a second or two."""
    quick = {"models": ["baseline"], "evaluate.n_draws": 100, "compare.n_permutations": 100}
    write_params(quick, folder / "params.yaml", folder / "params.yaml")


def empty(folder: Path) -> None:
    """Remove all results, and DVC's records of them."""
    for name in (*OUTPUTS, ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "dvc.lock").unlink(missing_ok=True)


def test_repro_continues_after_a_kill(clone: Path, part: int) -> None:
    """Only a torn lock has to be removed by hand, and DVC's message names it."""
    rng, torn, kills = random.Random(part), 0, 0
    only_baseline(clone)
    labels = contents_of(clone, "seeds")
    empty(clone)
    started = time.monotonic()
    assert not killed(clone, ["dvc", "repro"], 600)
    seconds = time.monotonic() - started
    expected = contents_of(clone, *OUTPUTS, "dvc.lock")
    assert len(expected) > 20
    while kills < KILLS // PARTS:
        empty(clone)
        started = time.monotonic()
        if not killed(clone, ["dvc", "repro"], rng.uniform(0.5, seconds)):
            seconds = time.monotonic() - started  # the machine is less busy than before
            continue
        kills += 1
        # Files are complete and final, except for the lists to which stages add lines.
        existing = contents_of(clone, *OUTPUTS).items()
        assert {item for item in existing if not item[0].endswith(".gitignore")} <= expected.items()
        again = subprocess.run(["dvc", "repro"], cwd=clone, capture_output=True, text=True)
        if again.returncode:
            torn += 1
            (name,) = [lock for lock in LOCKS if lock in again.stderr]
            (clone / name).unlink()
            sh(clone, "dvc", "repro")
        assert contents_of(clone, *OUTPUTS, "dvc.lock") == expected
        assert contents_of(clone, "seeds") == labels
    log.info("repro: %d kills within %.0f s, a lock torn %d times", kills, seconds, torn)


def test_track_fills_a_fresh_store_in_the_end(clone: Path) -> None:
    rng = random.Random(2)
    track = [sys.executable, "-m", "paratopic.stages.track"]
    expected, ended, kills = runs(clone).keys(), 0, 0
    while kills < KILLS:
        for path in clone.glob("mlflow.db*"):
            path.unlink()
        shutil.rmtree(clone / "mlruns", ignore_errors=True)
        for _ in range(4):
            was_killed = killed(clone, track, rng.uniform(0.5, 9))
            kills, ended = kills + was_killed, ended + (not was_killed)
        assert not killed(clone, track, 600)
        assert runs(clone).keys() == expected
    log.info("track: %d kills on fresh stores, %d ended", kills, ended)


def test_predictions_of_a_killed_run_are_completed(baseline_folder: Path, tmp_path: Path) -> None:
    rng, kills, completed = random.Random(3), 0, 0
    table, model = tmp_path / "in.csv", load(baseline_folder)
    rows = (f"{number},The tariff and the army of day {number}.\n" for number in range(40_000))
    table.write_text("id,text\n" + "".join(rows), encoding="utf-8")
    predict(model, [table], tmp_path / "expected")
    out = tmp_path / "out"
    words = [*COMMAND, "predict", str(table), "--out", str(out), "--resume"]
    while kills < KILLS:
        while killed(tmp_path, [*words, "--model", str(model.folder)], rng.uniform(0.3, 3)):
            kills += 1
        assert read_shards(out) == read_shards(tmp_path / "expected")
        assert {path.name[0] for path in out.iterdir()} == {"0", "_"}  # no draft is left
        shutil.rmtree(out)
        completed += 1
    log.info("predict --out: %d kills, %d runs completed to the same bytes", kills, completed)


def test_an_import_that_is_killed_is_repeated_without_loss(clone: Path) -> None:
    rng, kills = random.Random(4), 0
    labels = clone / "seeds" / "labels.csv"
    ids = list(read_paragraphs(Paths(clone).paragraphs)["id"])
    names = read_params(clone / "params.yaml").topics.names
    before, known = labels.read_bytes(), votes_in(labels)
    with (clone / "sheet.csv").open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(["paragraph", "topics", "annotator"])
        sheet.writerows((paragraph, names[n % 4], "zoe") for n, paragraph in enumerate(ids))
    words = [*COMMAND, "import", "sheet.csv"]
    while kills < KILLS:
        labels.write_bytes(before)
        while killed(clone, words, rng.uniform(0.2, 2.2)):
            kills += 1
            assert known <= votes_in(labels)
        counted = Counter(
            (label.paragraph, label.annotator)
            for label in latest_votes(read_lines(labels), TOPICS)
            if label.annotator == "zoe"
        )
        assert known <= votes_in(labels)
        assert set(counted) == {(paragraph, "zoe") for paragraph in ids}
        assert set(counted.values()) == {1}
    log.info("import: %d kills, no label lost or doubled", kills)


def votes_in(path: Path) -> set[tuple[str, str, str]]:
    return {
        (label.paragraph, label.annotator, label.cell)
        for label in latest_votes(read_lines(path), TOPICS)
    }


def test_nothing_is_asked_twice(part: int, here: Path) -> None:
    start_project()
    counts = kill_again_and_again(here, ASKING_KILLS // PARTS, part)
    log.info("annotate: %s", dict(counts))
    assert +counts == Counter(paragraphs=counts["paragraphs"], killed=ASKING_KILLS // PARTS)


def fuzzed(
    name: str, part: int, inputs: st.SearchStrategy[Any], read: Callable[[Any], str]
) -> None:
    """Call a reader with many inputs; `read` returns the outcome of each."""
    outcomes: Counter[str] = Counter()
    slowest, before = 0.0, peak_memory()

    @many
    @seed(part)
    @given(inputs)
    def attempt(data: Any) -> None:
        nonlocal slowest
        with at_most(MOST_SECONDS):
            started = time.process_time()
            outcomes[read(data)] += 1
            slowest = max(slowest, time.process_time() - started)

    attempt()
    grown = peak_memory() - before
    log.info("%s: %s, slowest %.2f s, %d MB", name, dict(outcomes), slowest, grown / 1e6)
    assert len(outcomes) > 1  # inputs with only one outcome would test little
    assert grown < MOST_BYTES


def peak_memory() -> int:
    """Largest number of bytes of memory that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail once a block has taken so much CPU time, which does not depend on other processes."""

    def stop(*_: object) -> None:
        raise AssertionError(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("suffix", WHOLE)
def test_articles_and_tables(suffix: str, part: int) -> None:
    fuzzed(suffix, part, contents(suffix), functools.partial(check, suffix))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".xlsx", ".parquet"])
def test_tables_to_predict(suffix: str, part: int, baseline_folder: Path, tmp_path: Path) -> None:
    model, path, out = load(baseline_folder), tmp_path / f"any{suffix}", tmp_path / "out"

    def read(data: bytes) -> str:
        shutil.rmtree(out, ignore_errors=True)
        path.write_bytes(data)
        try:
            done = predict(model, [path], out)
        except UserError as error:
            assert str(path) in str(error)
            assert not out.exists() or not list(out.glob("[!_]*"))
            return "refused"
        return "read with errors" if done.errors else "read"

    fuzzed(f"predict {suffix}", part, contents(suffix), read)


LABELS = (ROOT / "seeds" / "labels.csv").read_bytes()
EXPORTS = {
    ".json": json.dumps([task("a:1", annotation(["trade"]))]).encode(),
    ".csv": b"paragraph,topics,text,note\na:1,trade,A tariff.,\na:2,?,A chip.,why\n",
}
CSV_PIECES = [b",", b'"', b"\n", b"\r", b"\x00", b"\xff", b"trade", b"?", b";", b"'=1"]


def outcome(path: Path, data: bytes, read: Callable[[Path], object]) -> str:
    """Outcome of reading a file with this content: "read", or "refused" if a message names it."""
    path.write_bytes(data)
    try:
        read(path)
    except UserError as error:
        assert str(path) in str(error)
        return "refused"
    return "read"


@pytest.mark.parametrize("suffix", EXPORTS)
def test_exports_of_votes(
    suffix: str, part: int, tmp_path: Path, topics: Topics, clone: Path
) -> None:
    frame = read_paragraphs(Paths(clone).paragraphs)
    inputs = damaged(EXPORTS[suffix], CSV_PIECES if suffix == ".csv" else JSON_PIECES)
    path = tmp_path / f"any{suffix}"
    fuzzed(
        f"export {suffix}",
        part,
        inputs,
        lambda data: outcome(path, data, lambda path: exchange.read_votes(path, frame, topics)),
    )


def test_labels(tmp_path: Path, part: int) -> None:
    """A label can be added to every file that is read, and is read again."""
    path = tmp_path / "labels.csv"

    def read(path: Path) -> None:
        before = latest_votes(read_lines(path), TOPICS)
        append(path, Label("", "new:1", "trade", "A tariff.", "zoe"))
        assert len(latest_votes(read_lines(path), TOPICS)) == len(before) + 1

    pieces = damaged(LABELS[:2_000], CSV_PIECES) | damaged(LABELS[:200], CSV_PIECES)
    fuzzed("labels.csv", part, pieces, lambda data: outcome(path, data, read))


def test_params(tmp_path: Path, part: int) -> None:
    copy_settings(tmp_path)
    text = (ROOT / "params.yaml").read_bytes()
    pieces = [b"\t", b"&a", b"*a", b"? ", b": ", b"!!set ", b".nan", b"2025-01-01", b"---", b"[["]
    path = tmp_path / "params.yaml"
    inputs = damaged(text, pieces)
    fuzzed("params.yaml", part, inputs, lambda data: outcome(path, data, read_params))


@pytest.mark.parametrize("kind", ["baseline", "transformer"])
def test_manifests_of_model_folders(kind: str, part: int, clone: Path) -> None:
    """No manifest can open a file outside of the folder."""
    folder = clone / "models" / kind
    manifest = (folder / "paratopic.json").read_bytes()
    pieces = [*JSON_PIECES, b"../", b"/etc/passwd", b"-1", b"2147483648", b'"files": {}', b"true"]
    opened: list[str] = []
    load(folder).predict("Talks on trade.")  # libraries open system files when they are loaded

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and watching:
            opened.append(arguments[0])

    watching = False
    sys.addaudithook(watch)

    def attempt(data: bytes) -> str:
        nonlocal watching
        (folder / "paratopic.json").write_bytes(data)
        watching = True
        try:
            load(folder).predict("Talks on trade.")
        except UserError as error:
            assert str(folder) in str(error)
            return "refused"
        finally:
            watching = False
            outside = [name for name in opened if "/etc/" in name or ".." in name]
            opened.clear()
            assert not outside
        return "read"

    fuzzed(f"manifest of a {kind}", part, damaged(manifest, pieces), attempt)


@pytest.mark.parametrize("kind", ["baseline", "transformer"])
def test_files_of_model_folders(kind: str, part: int, clone: Path) -> None:
    """Files are damaged, but their checksums are right."""
    folder = clone / "models" / kind
    inputs = one_damaged(folder)
    fuzzed(f"files of a {kind}", part, inputs, lambda damage: load_damaged(folder, *damage))
