"""The whole story in one command: new articles in, label what is suggested, train again, compare.

    make story

or, in an environment with the extra `dev` (`train` and selenium are enough),
`python examples/labelling_loop.py --into FOLDER`. Chromium and its chromedriver have to be there:
`apt install chromium chromium-driver`.

It works in a clone of what is committed here: your own seeds, models and MLflow runs stay as they
are (the clone shares your DVC cache). Every command is shown as you can type it. `paratopic label`
is opened in a browser without a window; keys are pressed as by a person who reads the paragraph
that is shown, judges it as `examples/answers.csv` does, and takes a slip back. The articles in
`examples/articles` are invented, and each paragraph keeps to its topic better than in most news.
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
from paratopic.tracking.runs import ALIAS, PART

if TYPE_CHECKING:
    import pandas as pd
    from selenium.webdriver import Chrome

PROJECT = Path(__file__).resolve().parent.parent
# First words of a paragraph → its topics, the dominant one first, and a note.
Answers = dict[str, tuple[list[str], str]]

console = Console(highlight=False, markup=False, soft_wrap=True)


def run(command: str, folder: Path) -> None:
    """Show a command and run it in a folder."""
    console.print(f"\n$ {command}", style="bold")
    code = subprocess.run(command, shell=True, cwd=folder).returncode
    if code != 0:
        raise UserError(f"`{command}` ended with status {code} in {folder}: see above")


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A browser without a window."""
    try:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
    except ImportError:
        raise UserError(
            "selenium, which drives a browser, is missing: pip install selenium"
        ) from None
    options = webdriver.ChromeOptions()
    names = ("chromium", "chromium-browser", "google-chrome")
    options.binary_location = next(filter(None, map(shutil.which, names)), "")
    # Containers have no sandbox to give, and the page is our own.
    for word in ("headless", "no-sandbox", "window-size=1280,1000"):
        options.add_argument(f"--{word}")
    os.environ.setdefault("SE_OFFLINE", "true")  # else selenium downloads a browser unasked
    try:
        browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    except (WebDriverException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"Chromium cannot be started ({reason}): `apt install chromium chromium-driver`, or "
            "your system's packages of these"
        ) from None
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def served(command: str, folder: Path) -> Iterator[str]:
    """Show and run `paratopic label`; gives the address of its page, which ends with the block."""
    console.print(f"\n$ {command}", style="bold")
    words = shlex.split(command)
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            told = server.stdout.readline()  # Label at http://127.0.0.1:PORT (…)
            if not told:
                raise UserError(f"`{command}` serves no page in {folder}: see above")
            console.print(told, end="")
            yield told.split()[2]
        finally:
            server.send_signal(signal.SIGINT)


def label(browser: Chrome, address: str, answers: Answers) -> int:
    """Answer the paragraphs that the page shows, by its keys; returns how many."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    def shown(name: str) -> str:
        return browser.find_element("id", name).text

    def press(*keys: str, then: int) -> None:
        """Press keys, and wait until so many paragraphs are labelled."""
        ActionChains(browser).send_keys(*keys).perform()
        wait = WebDriverWait(browser, timeout=20, poll_frequency=0.05)
        wait.until(lambda _: shown("count").startswith(f"{then} of "))

    browser.get(address)
    press(then=0)
    rows = browser.find_elements("css selector", "#topics .row")
    key_of = dict(row.text.split("\n")[1::-1] for row in rows)  # "1\ntrade\n40 %" → trade: 1
    if unknown := {name for names, _ in answers.values() for name in names} - set(key_of):
        raise UserError(f"params.yaml lacks topics of examples/answers.csv: {sorted(unknown)}")
    done = 0
    for _ in range(int(shown("count").split()[2])):  # "0 of 25 labelled"
        words = first_words(shown("text"))
        if words not in answers:
            press("s", then=done)
            continue
        topics, note = answers[words]
        if done == 1:
            press("1" if not topics else "0", Keys.ENTER, then=2)
            press("u", then=1)
            console.print("  u   a slip, taken back", style="dim")
        keys = "".join(key_of[name] for name in topics) or "0"
        done += 1
        press(keys, *(("n", note) if note else ()), Keys.ENTER, then=done)
        console.print(f"  {keys:3} {', '.join(topics) or 'none of the topics':26} {words}")
        if note:
            console.print(f"  n   {note}", style="dim")
    return done


def tell(folder: Path, done: int) -> None:
    """What the labels changed, as the clone's MLflow has it."""
    import mlflow

    store = store_uri(folder)
    mlflow.set_tracking_uri(store)
    models = f"tags.`{PART}` != 'comparison'"
    runs = mlflow.search_runs(
        search_all_experiments=True, filter_string=models, order_by=["start_time ASC"]
    )
    first, last = runs.iloc[0], runs.iloc[-1]

    def measured(row: pd.Series[Any]) -> str:
        value, low, high = (row[f"metrics.macro_f1{end}"] for end in ("", ".low", ".high"))
        return f"{value:.3f} ({low:.3f} to {high:.3f})"

    table = Table("model", title=f"Macro-F1 with intervals, {done} labels later")
    for when, row in (("before", first), ("after", last)):
        unit, n = row["tags.split_unit"], row["metrics.n"]
        table.add_column(f"{when}\n{n:.0f} paragraphs\nsplit by {unit}")
    for name, own in runs.groupby("tags.model", sort=False):
        table.add_row(str(name), measured(own.iloc[0]), measured(own.iloc[-1]))
    console.print("", table, sep="\n")
    console.print(
        "What was held out is not the same (split by article, models are asked about articles "
        "that they have\nnot seen), and is little: figures may go either way, intervals say how "
        "sure they are."
    )
    client = mlflow.MlflowClient()
    (model,) = client.search_registered_models()
    version = client.get_model_version_by_alias(model.name, ALIAS)
    console.print(
        f"models:/{model.name}@{ALIAS} is the {version.tags['model']}, version "
        f"{version.version}: the simpler model,\nunless the other one's lead is significant."
    )
    console.print(f"\nAll of it is in {folder}. MLflow shows both states side by side:")
    console.print(f"\n$ mlflow ui --backend-store-uri {store}", style="bold")
    page = f"#/experiments/{first['experiment_id']}/runs?compareRunsMode=CHART"
    console.print(f"then open http://127.0.0.1:5000/{page}")


def story(
    into: Annotated[
        Path | None, typer.Option(help="The clone's folder, new or empty; default: a temporary.")
    ] = None,
) -> None:
    """New articles in, label what is suggested, train again, and compare before and after."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DVC_EXP_NAME", "PARATOPIC_MODEL"):
        os.environ.pop(name, None)  # of the project itself: the clone has its own
    # Stages call `python`: it has to be the one that runs this.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (PROJECT / "examples/answers.csv").open(encoding="utf-8", newline="") as file:
        answers = {
            row["text"]: (list(filter(None, row["topics"].split(SEPARATOR))), row["note"])
            for row in csv.DictReader(file)
        }
    with chromium() as browser:  # first, as minutes of training come before it is needed
        folder = (into or Path(tempfile.mkdtemp(prefix="paratopic-"))).resolve()
        quoted = shlex.quote(str(folder))
        run(f"git clone --quiet . {quoted} && cd {quoted}", PROJECT)
        # What has been trained here before is not trained again.
        run(f"dvc cache dir --local {shlex.quote(str(PROJECT / '.dvc/cache'))}", folder)
        run("dvc repro", folder)
        run("cp examples/articles/* seeds/", folder)
        run("dvc repro prepare", folder)
        run("paratopic suggest --out sheet.csv", folder)
        with served("paratopic label sheet.csv --annotator newcomer --port 0", folder) as address:
            done = label(browser, address, answers)
            browser.save_screenshot(str(folder / "page.png"))
    run("dvc repro", folder)
    tell(folder, done)


if __name__ == "__main__":
    errors.run(lambda: typer.run(story))
