"""The whole labelling loop in one command: add articles, label, train again, compare.

    make story

or, in an environment with the extra `dev` (the extra `train` and selenium are enough),
`python examples/labelling_loop.py --into FOLDER`. It needs Chromium and its chromedriver:
`apt install chromium chromium-driver`.

Everything happens in a clone of the last commit, so your own seeds, models and MLflow runs stay as
they are (the clone shares your DVC cache). Every command is shown as you would type it. A program
takes the part of a person: it opens the page of `paratopic label` in a browser without a window,
reads each paragraph, and presses the keys for the answers in `examples/answers.csv`. It also makes
one mistake and takes it back. The articles in `examples/articles` are invented, and their
paragraphs keep to one topic more strictly than those of most news.
"""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from paratopic.inference.registry import store_uri
from paratopic.labels.log import first_words
from paratopic.project import errors
from paratopic.project.errors import UserError
from paratopic.project.topics import SEPARATOR
from paratopic.tracking.runs import ALIAS

if TYPE_CHECKING:
    import pandas as pd
    from selenium.webdriver import Chrome

PROJECT = Path(__file__).resolve().parent.parent

# First words of a paragraph → its topics, the dominant one first, and a note.
Answers = dict[str, tuple[list[str], str]]

console = Console(highlight=False, markup=False, soft_wrap=True)


def story(
    into: Annotated[
        Path | None,
        typer.Option(help="Folder of the clone, new or empty; default: a temporary folder."),
    ] = None,
) -> None:
    """Add articles, label what is suggested, train again, and compare before and after."""
    use_own_environment()
    answers = read_answers(PROJECT / "examples/answers.csv")
    with chromium() as browser:  # before the training, so that a missing browser is found early
        folder = (into or Path(tempfile.mkdtemp(prefix="paratopic-"))).resolve()
        quoted = shlex.quote(str(folder))
        run(f"git clone --quiet . {quoted} && cd {quoted}", PROJECT)
        # What has been trained in the project already is not trained again.
        run(f"dvc cache dir --local {shlex.quote(str(PROJECT / '.dvc/cache'))}", folder)
        run("dvc repro", folder)
        run("cp examples/articles/* seeds/", folder)
        run("dvc repro prepare", folder)
        run("paratopic suggest --out sheet.csv", folder)
        with served("paratopic label sheet.csv --annotator newcomer --port 0", folder) as address:
            n_labels = label(browser, address, answers)
            browser.save_screenshot(str(folder / "page.png"))
    run("dvc repro", folder)
    compare(folder, n_labels)


def use_own_environment() -> None:
    """Make commands use this Python, and the clone's models and MLflow store."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DVC_EXP_NAME", "PARATOPIC_MODEL"):
        os.environ.pop(name, None)
    # DVC's stages call `python`, which has to be the one that runs this script.
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"


def read_answers(path: Path) -> Answers:
    """Read the answers to give on the page."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["text"]: ([name for name in row["topics"].split(SEPARATOR) if name], row["note"])
            for row in csv.DictReader(file)
        }


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Chromium without a window, controlled by selenium.

    Raises
    ------
    UserError
        Selenium, Chromium or chromedriver is missing.
    """
    try:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
    except ImportError:
        raise UserError(
            "selenium, which controls the browser, is missing: pip install selenium"
        ) from None
    options = webdriver.ChromeOptions()
    programs = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    options.binary_location = next(filter(None, programs), "")
    # Chromium's sandbox does not work in containers, and the page is our own.
    for option in ("headless", "no-sandbox", "window-size=1280,1000"):
        options.add_argument(f"--{option}")
    os.environ.setdefault("SE_OFFLINE", "true")  # keeps selenium from downloading a browser
    try:
        browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    except (WebDriverException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"Chromium cannot be started ({reason}): `apt install chromium chromium-driver`, or "
            "install your system's packages of these"
        ) from None
    try:
        yield browser
    finally:
        browser.quit()


def run(command: str, folder: Path) -> None:
    """Show a command and run it in a folder."""
    console.print(f"\n$ {command}", style="bold")
    status = subprocess.run(command, shell=True, cwd=folder).returncode
    if status != 0:
        raise UserError(f"`{command}` ended with status {status} in {folder}: see above")


@contextmanager
def served(command: str, folder: Path) -> Iterator[str]:
    """Show and run `paratopic label` until the end of the block; yields the page's address."""
    console.print(f"\n$ {command}", style="bold")
    words = shlex.split(command)
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            line = server.stdout.readline()  # "Label at http://127.0.0.1:PORT (…)"
            if not line:
                raise UserError(f"`{command}` in {folder} did not start: see above")
            console.print(line, end="")
            yield line.split()[2]
        finally:
            server.send_signal(signal.SIGINT)


def label(browser: Chrome, address: str, answers: Answers) -> int:
    """Label the paragraphs on the page by its keys.

    Parameters
    ----------
    browser
        A browser.
    address
        Address of the page.
    answers
        Answers to give; paragraphs without one are skipped.

    Returns
    -------
    Number of labelled paragraphs.
    """
    from selenium.webdriver.common.keys import Keys

    browser.get(address)
    press(browser, labelled=0)
    key_of = read_keys(browser)
    if unknown := {name for names, _ in answers.values() for name in names} - set(key_of):
        raise UserError(f"params.yaml lacks topics of examples/answers.csv: {sorted(unknown)}")
    done = 0
    for _ in range(int(shown(browser, "count").split()[2])):  # "0 of 25 labelled"
        words = first_words(shown(browser, "text"))
        if words not in answers:
            press(browser, "s", labelled=done)
            continue
        topics, note = answers[words]
        if done == 1:
            make_mistake(browser, "0" if topics else "1")
        keys = "".join(key_of[name] for name in topics) or "0"
        done += 1
        press(browser, keys, *(("n", note) if note else ()), Keys.ENTER, labelled=done)
        console.print(f"  {keys:3} {', '.join(topics) or 'none of the topics':26} {words}")
        if note:
            console.print(f"  n   {note}", style="dim")
    return done


def make_mistake(browser: Chrome, key: str) -> None:
    """Give a wrong answer to the second paragraph, and undo it."""
    from selenium.webdriver.common.keys import Keys

    press(browser, key, Keys.ENTER, labelled=2)
    press(browser, "u", labelled=1)
    console.print("  u   a mistake, undone", style="dim")


def shown(browser: Chrome, name: str) -> str:
    """Text that the page shows in an element."""
    return browser.find_element("id", name).text


def read_keys(browser: Chrome) -> dict[str, str]:
    """Topic → its key on the page, from rows like "1\\ntrade\\n40 %"."""
    rows = browser.find_elements("css selector", "#topics .row")
    return dict(row.text.split("\n")[1::-1] for row in rows)


def press(browser: Chrome, *keys: str, labelled: int) -> None:
    """Press keys, and wait until the page counts so many labelled paragraphs."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    ActionChains(browser).send_keys(*keys).perform()
    wait = WebDriverWait(browser, timeout=20, poll_frequency=0.05)
    wait.until(lambda _: shown(browser, "count").startswith(f"{labelled} of "))


def compare(folder: Path, n_labels: int) -> None:
    """Print the models' figures before and after labelling, from the clone's MLflow store."""
    import mlflow

    mlflow.set_tracking_uri(store_uri(folder))
    runs = mlflow.search_runs(search_all_experiments=True, order_by=["start_time ASC"])
    console.print("", comparison_table(runs, n_labels), sep="\n")
    console.print(
        "The models were tested on other paragraphs before than after (split by article, on "
        "articles that\nthey have not seen), and on few: a figure may rise or fall by chance, and "
        "its interval shows how far."
    )
    client = mlflow.MlflowClient()
    (model,) = client.search_registered_models()
    version = client.get_model_version_by_alias(model.name, ALIAS)
    console.print(
        f"models:/{model.name}@{ALIAS} is the {version.tags['model']}, version "
        f"{version.version}: the model that is expected to predict\nbest; `paratopic report` says "
        "why."
    )
    console.print(f"\nEverything is in {folder}. MLflow shows both states side by side:")
    console.print(f"\n$ cd {folder}; paratopic ui", style="bold")


def comparison_table(runs: pd.DataFrame, n_labels: int) -> Table:
    """Macro-F1 of each model in its first and its last run."""

    def macro_f1(row: pd.Series[Any]) -> str:
        value, low, high = (row[f"metrics.macro_f1{end}"] for end in ("", "_low", "_high"))
        return f"{value:.3f} ({low:.3f} to {high:.3f})"

    table = Table("model", title=f"Macro-F1 with intervals, before and after {n_labels} labels")
    for when, row in (("before", runs.iloc[0]), ("after", runs.iloc[-1])):
        unit, n = row["tags.split_unit"], row["tags.n"]
        table.add_column(f"{when}\n{n} paragraphs\nsplit by {unit}")
    for name, own in runs.groupby("tags.model", sort=False):
        table.add_row(str(name), macro_f1(own.iloc[0]), macro_f1(own.iloc[-1]))
    return table


if __name__ == "__main__":
    errors.run(lambda: typer.run(story))
