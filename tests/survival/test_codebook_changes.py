"""Changes of the codebook beside an open labelling page, some of them killed: nothing is lost."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from paratopic.labels.answers import read_answers
from paratopic.labels.log import read_lines
from paratopic.project.codebook import Change
from paratopic.project.files import Paths
from paratopic.project.params import read_params
from paratopic.project.topics import Topics
from tests.annotation.small_project import make_project
from tests.programs import ask, killed, served, sh
from tests.survival.test_writers import COMMAND, LABELS

ODD = [
    *("R&D", "law, order", "naïve: “x”", "# no comment", "yes", "null", "1.5", "~", "0x1f", "=1+1"),
    *("it's", 'a "quoted" name', "{curly}", "[list]", "über", "日本", "%", "*star", "&anchor"),
    *("@at", "`tick`", "two  blanks", "a/b\\c", "<b>", "| pipe", "> folded", "key: value", "!tag"),
]
PREPARE = """
from paratopic.project.folder import Project
from paratopic.stages.prepare import main
main(Project())
"""


def random_change(topics: Topics, new: list[str], rng: random.Random) -> Change:
    """A change of the topics that are there."""
    one, other = rng.sample(topics.names, 2)
    kinds = ["rename", "split"] + ["merge", "drop"] * (len(topics.names) > 3)
    match rng.choice(kinds):
        case "rename":
            return Change("rename", (one,), (new.pop(),))
        case "split":
            return Change("split", (one,), (new.pop(), new.pop()))
        case "merge":
            return Change("merge", (one, other), (one,))
        case _:
            return Change("drop", (one,))


def words_of(change: Change) -> list[str]:
    """The words of the command that makes a change."""
    into = ["--into"] if change.kind in ("merge", "split") else []
    return [*COMMAND, "codebook", change.kind, *change.names, *into, *change.into]


def change_beside_the_page(folder: Path, n_changes: int, n_kills: int) -> set[str]:
    """Change the codebook again and again, and answer on the page after each change.

    Returns
    -------
    Ids of the paragraphs that the page confirmed an answer on.
    """
    rng, new = random.Random(n_changes), ODD.copy()
    rng.shuffle(new)
    kills, seconds = set(rng.sample(range(n_changes), n_kills)), 1.0
    confirmed = set()
    with served(folder, *COMMAND, "label", "--random", "--n", "100", "--port", "0") as address:
        shown = ask(f"{address}/state")
        for number in range(n_changes):
            if len(new) < 2:
                new = [f"{name} {number}" for name in ODD]
            before = read_params(Paths(folder).params).topics
            change = random_change(before, new, rng)
            started = time.monotonic()
            limit = rng.uniform(0.3, 1) * seconds if number in kills else None
            was_killed = killed(folder, words_of(change), limit)
            seconds = seconds if was_killed else time.monotonic() - started
            now, after = read_params(Paths(folder).params).topics, change.topics(before)
            wanted = (before, after) if was_killed else (after,)
            assert (now.names, now.retired) in [(each.names, each.retired) for each in wanted]
            for _ in range(2):
                item = rng.choice(shown["items"])["id"]
                names = rng.sample([topic["name"] for topic in shown["topics"]], rng.choice((0, 1)))
                answer = {"id": item, "topics": names, "note": "", "codebook": shown["codebook"]}
                reply = ask(f"{address}/save", answer)
                if "state" in reply:  # the codebook changed: nothing is saved before it is shown
                    shown = reply["state"]
                    assert [topic["name"] for topic in shown["topics"]] == list(now.names)
                else:
                    confirmed.add(item)
    return confirmed


def agree(folder: Path, confirmed: set[str], n_before: int) -> tuple[int, int]:
    """Check that labels.csv, the table, `status` and `publish labels` say the same.

    Returns
    -------
    Numbers of paragraphs with a label by hand, and of those to be labelled again.
    """
    topics = read_params(Paths(folder).params).topics
    current = read_answers(read_lines(folder / LABELS), topics)
    parts = current.answers, current.retired
    labelled, again = ({line.paragraph for line in part} for part in parts)
    assert confirmed <= labelled | again and len(labelled | again) >= n_before
    assert not labelled & again
    assert {name for line in current.answers for name in line.names} <= set(topics.names)
    paths = Paths(folder)
    table, votes = (pd.read_parquet(path) for path in (paths.labels, paths.votes))
    assert set(table["paragraph"][table["by"] == "hand"]) == labelled
    assert set(votes["paragraph"][votes["status"] == "retired"]) == again
    report = json.loads(paths.prepared.read_text(encoding="utf-8"))
    assert report["labelled_by"]["hand"] == len(labelled)
    printed = sh(folder, *COMMAND, "status")
    counts = re.search(r"because the codebook changed: (\d+)", printed)
    assert int(counts[1] if counts else 0) == len(again)
    sh(folder, *COMMAND, "publish", "labels", "--to", "published", "--yes")
    assert set(pd.read_parquet(folder / "published/paragraphs.parquet")["id"]) == labelled
    return len(labelled), len(again)


def write_news(folder: Path) -> None:
    texts = "\n\n".join(f"The talks of day {day} were on tariffs and troops." for day in range(30))
    (folder / "seeds/news.txt").write_text(texts, encoding="utf-8")


def test_changes_beside_an_open_page_lose_no_answer(tmp_path: Path, baseline_folder: Path) -> None:
    make_project(tmp_path, baseline_folder)
    write_news(tmp_path)
    (tmp_path / LABELS).write_text("paragraph,topics\n", encoding="utf-8")
    sh(tmp_path, sys.executable, "-c", PREPARE)
    confirmed = change_beside_the_page(tmp_path, 3, 1)
    sh(tmp_path, sys.executable, "-c", PREPARE)
    assert agree(tmp_path, confirmed, 2)[0] > 0


@pytest.mark.long
def test_many_changes_beside_an_open_page_lose_no_answer(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    n_before = len({line.paragraph for line in read_lines(folder / LABELS)})
    write_news(folder)
    sh(folder, "dvc", "repro", "prepare")
    confirmed = change_beside_the_page(folder, 24, 10)
    sh(folder, "dvc", "repro")
    n_labelled, n_again = agree(folder, confirmed, n_before)
    assert n_labelled and n_again
    assert f"of {n_labelled} hand labels doubtful" in sh(folder, *COMMAND, "review")
