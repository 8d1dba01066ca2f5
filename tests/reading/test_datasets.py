"""Datasets are sources as tables are: from a hub, a folder, or a file of any format."""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
from pathlib import Path

import datasets
import pandas as pd
import pytest

from paratopic.project.errors import UserError
from paratopic.project.sources import Source
from paratopic.reading.datasets import from_project, parse_address, read_dataset
from paratopic.reading.sources import read_sources
from paratopic.reading.tables import read_table
from tests.hub import running
from tests.programs import python
from tests.samples import TOPICS, read_joined

COMMIT = "0" * 40
LABELS = {"World": "security", "Business": "trade", "Sci/Tech": "technology"}
ROWS = {
    "content": ["Troops left.", "Tariffs rose.", "Chips sold out.", " ", "Rain fell."],
    "category": [0, 1, 2, 1, -1],
    "story": [1, 1, 2, 2, 3],
    "about": [{"paper": "Press"}] * 5,
}


@pytest.fixture(scope="module")
def data() -> datasets.Dataset:
    features = datasets.Features(
        {
            "content": datasets.Value("string"),
            "category": datasets.ClassLabel(names=list(LABELS)),
            "story": datasets.Value("int32"),
            "about": {"paper": datasets.Value("string")},
        }
    )
    return datasets.Dataset.from_dict(ROWS, features=features)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def source(path: Path | str) -> Source:
    return Source(f"dataset://{path}", "content", "category", "story", labels=LABELS)


@pytest.mark.parametrize("form", ["saved", "splits", "folder", "rows.parquet", "rows.arrow"])
def test_every_form_gives_the_same_rows(
    data: datasets.Dataset, tmp_path: Path, form: str, caplog: object
) -> None:
    path = tmp_path / form
    match form:
        case "saved":
            data.save_to_disk(path)
        case "splits":
            datasets.DatasetDict(train=data, test=data.select([0])).save_to_disk(path)
        case "folder":
            (path / "data").mkdir(parents=True)
            (path / "news.py").write_text("raise SystemExit('code of the dataset')\n")
            data.to_parquet(path / "data" / "train-00000-of-00001.parquet")
        case "rows.parquet":
            data.to_parquet(path)
        case _:
            data.save_to_disk(tmp_path / "saved")
            (tmp_path / "saved" / "data-00000-of-00001.arrow").rename(path)
    of = source(path)
    frame, fields = read_joined(of.path, TOPICS, [], of)
    assert list(frame["text"]) == ["Troops left.", "Tariffs rose.", "Chips sold out.", "Rain fell."]
    assert list(frame["topics"]) == [["security"], ["trade"], ["technology"], None]
    name = f"{path.stem}-train"
    assert list(frame["article"]) == [f"{name}/{n}" for n in (1, 1, 2, 3)]
    assert fields["about.paper"].tolist() == ["Press"] * 4


def read_texts(path: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read_joined(path, TOPICS, [], Source(path, label=None))


def test_a_table_of_the_web_and_lines_of_text(tmp_path: Path) -> None:
    contents = {"0.txt": "Troops left.", "0.json": json.dumps({"of": "security"})}
    with tarfile.open(tmp_path / "web.tar", "w") as file:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content.encode()))
    web = Source(f"dataset://{tmp_path / 'web.tar'}", text="txt", label="json.of", group=None)
    frame, _ = read_joined(web.path, TOPICS, [], web)
    assert list(frame["topics"]) == [["security"]]
    (tmp_path / "lines.txt").write_text("Troops left.\n\nTariffs rose.\n", encoding="utf-8")
    frame, _ = read_texts(f"dataset://{tmp_path / 'lines.txt'}")
    assert list(frame["text"]) == ["Troops left.", "Tariffs rose."]


@pytest.mark.parametrize("path", ["set", "set/train.csv"])
def test_only_empty_cells_of_csv_are_missing(tmp_path: Path, path: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("text,label,n\nNA,None,1\nnull,,\n")
    columns = read_table(f"dataset://{tmp_path / path}").columns
    assert columns == {"text": ["NA", "null"], "label": ["None", None], "n": ["1", None]}


def test_lists_of_classes_are_several_topics(tmp_path: Path) -> None:
    names = datasets.List(datasets.ClassLabel(names=["trade", "security"]))
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    rows = {"text": ["Tariffs on arms.", "Rain fell."], "label": [[1, 0], []]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "several")
    frame, _ = read_joined(f"dataset://{tmp_path / 'several'}", TOPICS, ["none"])
    assert list(frame["topics"]) == [["security", "trade"], []]


def test_a_dataset_stands_beside_articles(
    data: datasets.Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "news.txt").write_text("The tariff on goods rose again.\n", encoding="utf-8")
    data.save_to_disk(tmp_path / "set")
    with caplog.at_level(logging.WARNING):
        read = read_sources([str(tmp_path / "news.txt"), source(tmp_path / "set")], [], [])
    assert len(read.frame) == 5 and read.origins["about.paper", "tables"] == 3
    assert f"dataset://{tmp_path / 'set'}: 1 row has no text and is left out" in caplog.text
    rows = {"text": ["", " ", "Rain fell."]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "blank")
    read_texts(f"dataset://{tmp_path / 'blank'}")
    assert "2 rows have no text and are left out" in caplog.text
    with pytest.raises(UserError, match="have the same name"):
        read_sources([source(tmp_path / "set"), f"dataset://{tmp_path}/set"], [], [])


def test_a_folder_may_have_the_name_of_a_format(here: Path) -> None:
    Path("csv").mkdir()
    Path("data.csv").write_text("text\nwrong\n")
    Path("csv/data.csv").write_text("text\nright\n")
    for address in ("dataset://csv/data.csv", "dataset://csv"):
        rows = read_dataset(parse_address(address), ["text"])
        assert rows.columns["text"] == ["right"]


def test_a_sample_is_evenly_spaced_and_keeps_the_rows_numbers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [f"Ship {number} came in." for number in range(10)]
    datasets.Dataset.from_dict({"text": texts}).save_to_disk(tmp_path / "ships")
    path = f"dataset://{tmp_path / 'ships'}"
    with caplog.at_level(logging.WARNING):
        frame, _ = read_texts(f"{path}?sample=4")
    assert list(frame["text"]) == [texts[number] for number in (0, 2, 5, 7)]
    assert f"{path}?sample=4: a sample of 4 rows is read" in caplog.text
    whole, _ = read_texts(path)
    of_sample = whole[whole["text"].isin(frame["text"])].reset_index()
    pd.testing.assert_frame_equal(frame[["id", "article"]], of_sample[["id", "article"]])
    caplog.clear()
    more, _ = read_texts(f"{path}?sample=11")
    pd.testing.assert_frame_equal(more, whole)
    assert not caplog.text
    assert read_table(f"{path}?sample=4").wheres[-1] == f"{path}, row 7"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("hf://press/news", "write the whole commit after the name, hf://press/news@COMMIT"),
        ("hf://press/news@main", "write the whole commit"),
        ("hf://press/the/news", "press/the/news: is no address on a hub"),
        (f"hf://press/news@{COMMIT}?splt=a", r'unknown key splt \(did you mean "split"\?\)'),
        ("dataset://set?split=a&split=b", "has split twice"),
        ("dataset://set?text=body", "write text beside path, as a key of the source"),
        ("dataset://set?sample=0", "sample is a number of rows from 1 on, not 0"),
        ("dataset://set?sample=10%", "sample is a number of rows from 1 on, not 10%"),
        ("dataset://gone", "dataset://gone: there is no such folder or file"),
        ("dataset://set?split=valid", "there is no split valid; there are train, test"),
        ("dataset://set", 'there is no column "text" for text; this table has content'),
        ("dataset://empty", "dataset://empty: cannot be read as a dataset: "),
    ],
)
def test_a_mistake_is_said_in_one_message(
    data: datasets.Dataset, here: Path, path: str, message: str
) -> None:
    (here / "empty").mkdir()
    (here / "empty" / "news.py").write_text("raise SystemExit('code of the dataset')\n")
    datasets.DatasetDict(train=data, test=data).save_to_disk("set")
    with pytest.raises(UserError, match=message) as caught:
        read_joined(path, TOPICS, [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["data", "set", "a/data"])
def test_the_path_alone_is_rewritten(place: str) -> None:
    """Also where the word `dataset` has it in it."""
    path = from_project(f"dataset://{place}?split=test", lambda path: f"../{path}")
    assert path == f"dataset://../{place}?split=test"


READ = """
import sys
from paratopic.project.errors import UserError
from paratopic.reading.datasets import from_project, parse_address, read_dataset
for address in sys.argv[1:]:
    try:
        print(read_dataset(parse_address(address), ["text"]).columns["text"])
    except UserError as error:
        print(error)
"""


def read(endpoint: str, home: Path, *addresses: str) -> list[str]:
    """Read datasets in another process, with a hub and a cache of its own."""
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)}
    return python(READ, *addresses, env=env).stdout.splitlines()


def test_a_commit_is_read_from_a_hub_and_later_from_the_cache(tmp_path: Path) -> None:
    with running() as hub:
        commits = []
        for text in ("Tariffs rose.", "Troops left."):
            file = {"train.jsonl": json.dumps({"text": text}).encode()}
            commits.append(hub.commit("datasets", "press/news", file))
        old, new = (f"hf://press/news@{commit}" for commit in commits)
        script = hub.commit("datasets", "press/script", {"script.py": b"raise SystemExit"})
        gone, wrong = f"hf://press/news@{COMMIT}", f"hf://press/newz@{COMMIT}"
        messages = read(hub.address, tmp_path, old, new, gone, wrong, f"hf://press/script@{script}")
    assert messages[:2] == ["['Tariffs rose.']", "['Troops left.']"]
    assert messages[2] == f"{gone}: there is no such commit, branch or tag"
    assert messages[3].startswith(f"{wrong}: there is no such dataset, or it is private")
    assert "Dataset scripts are no longer supported" in messages[4]
    # Nobody answers there.
    later = read("http://127.0.0.1:9", tmp_path, old, new, gone)
    assert later[:2] == messages[:2]
    assert later[2].startswith(f"{gone}: the hub cannot be reached, and this revision is")


def test_without_a_configuration_the_hub_says_which_is_meant(tmp_path: Path) -> None:
    configs = [{"config_name": name, "data_files": f"{name}.csv"} for name in ("default", "en")]
    files = {f"{each['config_name']}.csv": f"text\n{each['config_name']}\n" for each in configs}
    files["README.md"] = f"---\nconfigs: {json.dumps(configs)}\n---\n"
    only = {"README.md": f"---\nconfigs: {json.dumps(configs[1:])}\n---\n", "en.csv": "text\nen\n"}
    home = tmp_path / "home"
    with running() as hub:
        both, one = (
            f"hf://press/{name}@"
            + hub.commit("datasets", f"press/{name}", {k: v.encode() for k, v in each.items()})
            for name, each in (("both", files), ("one", only))
        )
        rows = read(hub.address, home, f"{both}?config=en", both, one)
        assert rows == ["['en']", "['default']", "['en']"]
    assert read("http://127.0.0.1:9", home, both, one) == ["['default']", "['en']"]
