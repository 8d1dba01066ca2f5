"""Fixtures: a codebook, labelled paragraphs, small models, and a project after `dvc repro`."""

from __future__ import annotations

import functools
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import settings

from paratopic.inference.model import Model, load
from paratopic.project.files import atomic_write
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from tests import pages, warm
from tests.documents import altered
from tests.encoders import save_tiny_encoder
from tests.programs import QUICK, Cli, Printed, first_results, run_cli
from tests.samples import CONTEXT_WEIGHTS, PARAMS, TOPICS, WORDS, examples, paragraph

HERE = Path(__file__).parent
# Property tests have the same inputs in each run, so that their results can be repeated. `pytest -m
# hypothesis --hypothesis-profile fresh` draws other inputs. No example has a deadline, because the
# machine may be busy.
settings.register_profile("fresh", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("same")
# Folders with modules that are imported by programs of tests.
collect_ignore = ["third_kind", "trace", "warm"]
# Folder next to the first results, with lists of the modules that each stage loaded.
TRACE = "modules-of-stages"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files: a long one, half of the short ones, the other long ones, the other short ones.

    Long files need the first results, which are then computed at once, while other processes run
    short files. Short files at the end keep all processes busy.
    """
    long = {item.path for item in items if "project" in getattr(item, "fixturenames", ())}
    short = list(dict.fromkeys(item.path for item in items if item.path not in long))
    first = next((item.path for item in items if item.path in long), None)
    early = short[: len(short) // 2]

    def rank(item: pytest.Item) -> list[bool]:
        return [item.path != first, item.path not in early, item.path not in long]

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: Sequence[Any]) -> None:
    """Fork the test processes from one that has imported all libraries."""
    folder = warm.start()
    os.environ[QUICK] = str(folder)
    for spec in specs:
        spec.python = str(folder / "python")


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A separate state folder, so that tests neither read nor change the list of trusted projects.

    Programs that tests run use it, too.
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
    """An empty folder, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def topics() -> Topics:
    return TOPICS


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """36 labelled paragraphs of six articles, and two with none of the topics."""
    rng = random.Random(7)
    names = list(WORDS)
    records: list[tuple[str, str, str, tuple[str, ...]]] = []
    for number in range(36):
        topic = names[number % 3]
        records.append((f"p{number:02}", f"article{number % 6}", paragraph(topic, rng), (topic,)))
    records += [("p90", "article0", "Nothing to see here at all today.", ())]
    records += [("p91", "article1", "It rained and then the sun came out.", ())]
    frame = pd.DataFrame(records, columns=["id", "article", "text", "topic"])
    return frame.assign(label_source="hand", heading="")


@pytest.fixture(scope="session")
def data(rows: pd.DataFrame, topics: Topics) -> Examples:
    """The fixture `rows` as training examples, each in its own article."""
    return examples(rows, topics.names)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


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
def context_model_folder(baseline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same baseline, with weights for context."""
    folder = tmp_path_factory.mktemp("reading") / "baseline"

    def set_weights(manifest: dict[str, Any]) -> None:
        manifest["settings"]["context"] = asdict(CONTEXT_WEIGHTS)

    return altered(baseline_folder, folder, set_weights)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all test processes share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def quick_programs() -> None:
    """Make the programs that tests run start quickly."""
    if QUICK not in os.environ:
        os.environ[QUICK] = str(warm.start())


@pytest.fixture(scope="session")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_encoder: Path,
    shared_folder: Path,
    quick_programs: None,
) -> Path:
    """A clone of the project after its first `dvc repro`, with its own MLflow store."""
    # Test processes compute the first results once, and each of them makes a copy.
    shared = shared_folder / "first-results"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            trace = shared.with_name(TRACE)
            trace.mkdir(exist_ok=True)
            tracing = {"PYTHONPATH": str(HERE / "trace"), "PARATOPIC_TRACE": str(trace)}
            with atomic_write(shared) as draft:
                first_results(draft, str(tiny_encoder), **tracing)
    folder = tmp_path_factory.mktemp("project") / "project"
    shutil.copytree(shared, folder)
    return folder


@pytest.fixture(scope="session")
def run_page(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Run the commands of README or of a page of docs/ once, and return their project."""

    @functools.cache
    def folder_of(name: str) -> Path:
        folder = tmp_path_factory.mktemp("page") / "project"
        pages.run(next(page for page in pages.PAGES if page.name == name), project, folder)
        return folder

    return folder_of


@pytest.fixture
def strict_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let templates of cards fail where a name is missing, which otherwise would be left out."""
    strict = functools.partial(jinja2.Template, undefined=jinja2.StrictUndefined)
    monkeypatch.setattr(jinja2, "Template", strict)
