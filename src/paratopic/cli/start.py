"""The commands `paratopic init` and `paratopic ui`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project; it may hold articles.")],
    topics: Annotated[str, typer.Option(help="Names of the topics, separated by commas.")],
) -> None:
    """Start a project of your own: its settings, pipeline and a file for labels."""
    from paratopic.project.start import create

    create(folder, [name.strip() for name in topics.split(",")])
    print(f"{folder} is a project of paratopic. Next:")
    print(f"  cd {folder}")
    print("  put articles into seeds/, and say in params.yaml what each topic covers")
    print("  dvc repro                  train the models and measure them")
    print("  paratopic predict ARTICLE  predict the topics of an article's paragraphs")


def ui() -> None:
    """Compare the runs in MLflow: serve the project's store, and open its page."""
    from paratopic.tracking import ui as page

    page.main()
