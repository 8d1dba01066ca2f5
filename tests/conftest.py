"""Tiny offline stand-ins: a codebook, labelled paragraphs, an encoder of a few thousand weights."""

from __future__ import annotations

import functools
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import settings

from paratopic.inference.model import Model, load
from paratopic.project.codebook import edit
from paratopic.project.files import aside
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from tests import pages, warm
from tests.documents import altered
from tests.encoders import save_encoder
from tests.programs import QUICK, ROOT, Cli, Printed, run_cli, sh
from tests.samples import FILLER, PARAMS, READING, TOPICS, WORDS, examples, paragraph

HERE = Path(__file__).parent
# The inputs of property tests are the same in each run, so that code which passes passes again.
# `pytest -m hypothesis --hypothesis-profile fresh` draws others. No example has a deadline, because
# the machine may be busy.
settings.register_profile("fresh", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("same")
# What programs import that the tests start.
collect_ignore = ["third_kind", "trace", "warm"]
# Folder beside the first results: which modules each stage loaded.
TRACE = "modules-of-stages"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with a pipeline in between: others while the first results are computed, and last.

    The first file needs the first results, so that they are begun at once. Those that come last
    are short: no process works alone for long in the end.
    """
    longer = {item.path for item in items if "project" in getattr(item, "fixturenames", ())}
    others = list(dict.fromkeys(item.path for item in items if item.path not in longer))
    first = next((item.path for item in items if item.path in longer), None)
    before = others[: len(others) // 2]

    def rank(item: pytest.Item) -> list[bool]:
        return [item.path != first, item.path not in before, item.path not in longer]

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: Sequence[Any]) -> None:
    """Fork the processes that test side by side from the one that has imported everything."""
    folder = warm.start()
    os.environ[QUICK] = str(folder)
    for spec in specs:
        spec.python = str(folder / "python")


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state folder of its own, so that tests neither read nor change which projects are trusted.

    Programs that tests run have it too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `paratopic`; see `Cli`."""

    def run(*words: object, status: int = 0) -> Printed:
        capsys.readouterr()
        code = run_cli(monkeypatch, *map(str, words))
        printed = Printed(*capsys.readouterr())
        assert code == status, printed
        return printed

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def topics() -> Topics:
    return TOPICS


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """36 labelled paragraphs of six articles, and two with none of the topics."""
    rng = random.Random(7)
    made: list[tuple[str, str, str, tuple[str, ...]]] = []
    for number in range(36):
        topic = list(WORDS)[number % 3]
        made.append((f"p{number:02}", f"article{number % 6}", paragraph(topic, rng), (topic,)))
    made += [("p90", "article0", "Nothing to see here at all today.", ())]
    made += [("p91", "article1", "It rained and then the sun came out.", ())]
    frame = pd.DataFrame(made, columns=["id", "article", "text", "topic"])
    return frame.assign(label_source="hand", heading="")


@pytest.fixture(scope="session")
def data(rows: pd.DataFrame, topics: Topics) -> Examples:
    """Those paragraphs as training examples, each an article of its own."""
    return examples(rows, topics.names)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that sentence-transformers opens: one layer, random weights, its own vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + sorted({w for topic in WORDS.values() for w in topic} | set(FILLER))
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return save_encoder(tmp_path_factory.mktemp("encoder"), tokenizer, special)


@pytest.fixture(scope="session")
def baseline_folder(
    rows: pd.DataFrame, topics: Topics, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from paratopic.baseline import fit as baseline
    from paratopic.inference.modes import Calibration

    folder = tmp_path_factory.mktemp("models") / "baseline"
    model = baseline.fit(examples(rows, topics.names), topics, PARAMS.section("baseline"), 1)
    model.save(folder, Calibration(sure=0.0))
    return folder


@pytest.fixture(scope="session")
def model(baseline_folder: Path) -> Model:
    return load(baseline_folder)


@pytest.fixture(scope="session")
def reading_folder(baseline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same baseline, which reads what stands around texts."""
    folder = tmp_path_factory.mktemp("reading") / "baseline"
    return altered(
        baseline_folder, folder, lambda of: of["settings"].update(context=asdict(READING))
    )


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of all processes that test side by side."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def quick_programs() -> None:
    """Let the programs that tests run start quickly."""
    if QUICK not in os.environ:
        os.environ[QUICK] = str(warm.start())


@pytest.fixture(scope="session")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_encoder: Path,
    shared_folder: Path,
    quick_programs: None,
) -> Path:
    """A clone of the project after its first `dvc repro`, with an MLflow store of its own."""
    # Processes that test side by side compute the first results once, and each takes a copy.
    shared = shared_folder / "first-results"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            with aside(shared) as draft:
                _first_results(draft, tiny_encoder)
    folder = tmp_path_factory.mktemp("project") / "project"
    shutil.copytree(shared, folder)
    return folder


def _first_results(folder: Path, encoder: Path) -> None:
    for name in ("seeds", ".dvc"):
        ignored = shutil.ignore_patterns("cache", "tmp", "config.local")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    few = {"encoder": str(encoder), "epochs": 2, "max_tokens": 32, "train_tokens": 16}

    def change(params: dict[str, dict[str, object]]) -> None:
        params["split"]["n_repeats"] = 2
        params["transformer"].update(few)

    edit(folder / "params.yaml", folder, change)
    sh(folder, "git", "init", "-q")
    sh(folder, "git", "config", "user.email", "test@example.org")
    sh(folder, "git", "config", "user.name", "test")
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", "start")
    trace = folder.with_name(TRACE)
    trace.mkdir(exist_ok=True)
    sh(folder, "dvc", "repro", PYTHONPATH=str(HERE / "trace"), PARATOPIC_TRACE=str(trace))
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", "first results")


@pytest.fixture(scope="session")
def run_page(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Run the commands of README or of a page of docs/, once; gives the project they ran in."""

    @functools.cache
    def folder_of(name: str) -> Path:
        folder = tmp_path_factory.mktemp("page") / "project"
        pages.run(next(page for page in pages.PAGES if page.name == name), project, folder)
        return folder

    return folder_of
