"""`paratopic ui` opens a page that compares models in two clicks; the store may be a server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.ui import WebDriverWait

from paratopic import load
from paratopic.project.errors import UserError
from paratopic.project.folder import Project
from paratopic.tracking import ui
from paratopic.tracking.runs import Record, write_runs
from tests.programs import ROOT, chromium, free_port
from tests.samples import copy_settings
from tests.tracking.conftest import records_of

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


@pytest.fixture(scope="module")
def address(
    uri: str, baseline_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    write_runs(uri, "paratopic", records_of(baseline_folder, folder), folder / "mlruns")
    copy_settings(folder)
    (folder / "mlflow.py").write_text("raise SystemExit('a module of the project')")
    env = {key: value for key, value in os.environ.items() if key not in SCREENS}
    start, port = "from paratopic.cli.app import main; main()", free_port()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", start, "ui", "--port", str(port)],
        cwd=folder,
        env=env | {"MLFLOW_TRACKING_URI": uri},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    page = next(line.strip() for line in process.stdout if line.strip().startswith("http"))
    yield page
    process.terminate()
    assert process.wait(timeout=30) == 0
    assert not ui.server_responds(port)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path / "browser", "window-size=1500,900") as driver:
        yield driver


def test_two_clicks_compare_the_models(address: str, browser: webdriver.Chrome) -> None:
    def wait_for(*words: str) -> None:
        def shown(driver: webdriver.Chrome) -> bool:
            text = driver.find_element(By.TAG_NAME, "body").text
            return all(word in text for word in words)

        WebDriverWait(browser, 60).until(shown, f"{words} are not all on {browser.current_url}")

    def click(selector: str) -> None:
        is_present = presence_of_element_located((By.CSS_SELECTOR, selector))
        WebDriverWait(browser, 60).until(is_present, f"{selector} is not there").click()

    browser.get(address)
    # The list of runs shows the metrics, before any click.
    names = ("answer_macro_f1", "answer_macro_f1_low")
    wait_for("baseline · abc", "transformer · abc", *names, "0.6875", "0.8125")
    click('.ag-header input[aria-label="Select all runs"]')
    click('[data-testid="runs-compare-button"]')
    wait_for("Comparing 2 Runs", "answer_macro_f1", "0.68750", "0.81250")


def test_a_server_takes_runs_and_gives_models(
    address: str, baseline: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = address.partition("/#/")[0]
    for written in (1, 0):
        assert write_runs(server, "remote", [baseline], tmp_path / "runs") == written
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    prediction = load(baseline.model).predict("A tariff on goods.")
    assert load("models:/remote@champion").predict("A tariff on goods.") == prediction


def test_the_page_of_a_server_is_opened_without_a_new_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(ui, "_page", lambda uri, name: "#/experiments/7/runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000/")
    monkeypatch.setenv("DISPLAY", ":0")
    ui.main(Project(ROOT))
    page = "http://there:5000/#/experiments/7/runs"
    assert opened == [page] and page in capsys.readouterr().out


def test_a_store_without_runs_and_a_port_that_is_taken_are_refused(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"has no experiment nothing: `dvc repro`"):
        ui._page(uri, "nothing")
    monkeypatch.setattr(ui, "_page", lambda uri, name: "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with socket.create_server((ui.HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is taken.* --port"):
            ui.main(Project(ROOT), port)
