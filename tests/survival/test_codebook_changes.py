"""Changes of the codebook while a labelling page is open, some of them killed, lose nothing."""

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

from paratopic.labels.log import read_lines
from paratopic.labels.votes import current_votes
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
    """Draw a change of some topics, with new names from a list."""
    one, other = rng.sample(topics.names, 2)
    kinds = ["rename", "split"]
    if len(topics.names) > 3:
        kinds += ["merge", "drop"]
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
    """The arguments of the command that makes a change."""
    into = ["--into"] if change.kind in ("merge", "split") else []
    return [*COMMAND, "codebook", change.kind, *change.names, *into, *change.into]


def change_and_label(folder: Path, n_changes: int, n_kills: int) -> set[str]:
    """Change the codebook again and again, and vote on the page after each change.

    Returns
    -------
    Ids of the paragraphs for which the page confirmed a vote.
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
            current, after = read_params(Paths(folder).params).topics, change.topics(before)
            possible = (before, after) if was_killed else (after,)
            expected = [(topics.names, topics.retired) for topics in possible]
            assert (current.names, current.retired) in expected
            for _ in range(2):
                item = rng.choice(shown["items"])["id"]
                names = rng.sample([topic["name"] for topic in shown["topics"]], rng.choice((0, 1)))
                vote = {"id": item, "topics": names, "note": "", "codebook": shown["codebook"]}
                response = ask(f"{address}/save", vote)
                if "state" in response:  # a changed codebook has to be shown before votes are saved
                    shown = response["state"]
                    assert [topic["name"] for topic in shown["topics"]] == list(current.names)
                else:
                    confirmed.add(item)
    return confirmed


def agree(folder: Path, confirmed: set[str], n_before: int) -> tuple[int, int]:
    """Check that labels.csv, the tables, `status` and `publish labels` agree.

    Returns
    -------
    Numbers of paragraphs with a label by hand, and of those to be labelled again.
    """
    topics = read_params(Paths(folder).params).topics
    current = current_votes(read_lines(folder / LABELS), topics)
    labelled = {line.paragraph for line in current.votes}
    again = {line.paragraph for line in current.retired}
    assert confirmed <= labelled | again and len(labelled | again) >= n_before
    assert not labelled & again
    assert set[str]().union(*(line.names for line in current.votes)) <= set(topics.names)
    _check_tables(Paths(folder), labelled, again)
    printed = sh(folder, *COMMAND, "status")
    match = re.search(r"because the codebook changed: (\d+)", printed)
    n_again = int(match[1]) if match else 0
    assert n_again == len(again)
    sh(folder, *COMMAND, "publish", "labels", "--to", "published", "--yes")
    assert set(pd.read_parquet(folder / "published/paragraphs.parquet")["id"]) == labelled
    return len(labelled), len(again)


def _check_tables(paths: Paths, labelled: set[str], again: set[str]) -> None:
    """Check the paragraphs with a label by hand, and those to be labelled again, in the tables."""
    table = pd.read_parquet(paths.labels)
    assert set(table["paragraph"][table["by"] == "hand"]) == labelled
    votes = pd.read_parquet(paths.votes)
    assert set(votes["paragraph"][votes["status"] == "retired"]) == again
    report = json.loads(paths.prepared.read_text(encoding="utf-8"))
    assert report["labelled_by"]["hand"] == len(labelled)


def write_news(folder: Path) -> None:
    texts = "\n\n".join(f"The talks of day {day} were on tariffs and troops." for day in range(30))
    (folder / "seeds/news.txt").write_text(texts, encoding="utf-8")


def test_changes_while_a_page_is_open_lose_no_vote(tmp_path: Path, baseline_folder: Path) -> None:
    make_project(tmp_path, baseline_folder)
    write_news(tmp_path)
    (tmp_path / LABELS).write_text("paragraph,topics\n", encoding="utf-8")
    sh(tmp_path, sys.executable, "-c", PREPARE)
    confirmed = change_and_label(tmp_path, 3, 1)
    sh(tmp_path, sys.executable, "-c", PREPARE)
    assert agree(tmp_path, confirmed, 2)[0] > 0


@pytest.mark.long
def test_many_changes_while_a_page_is_open_lose_no_vote(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    n_before = len({line.paragraph for line in read_lines(folder / LABELS)})
    write_news(folder)
    sh(folder, "dvc", "repro", "prepare")
    confirmed = change_and_label(folder, 24, 10)
    sh(folder, "dvc", "repro")
    n_labelled, n_again = agree(folder, confirmed, n_before)
    assert n_labelled and n_again
    assert f"of {n_labelled} hand labels doubtful" in sh(folder, *COMMAND, "review")
