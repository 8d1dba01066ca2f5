"""A project of four paragraphs without labels, with a small model as its champion."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from paratopic.corpus.table import write_metadata
from paratopic.project.files import Paths
from paratopic.reading.article import paragraphs_of
from paratopic.reading.sources import frame_of
from tests.samples import copy_settings, plain_article, write_labelled

ARTICLE = plain_article(
    "news", "Trade\n\nTariffs rose.\n\nThe navy, they said, sailed.\n\nIt rained.\n\nChips."
)
FRAME = frame_of(paragraphs_of(ARTICLE))


def make_project(folder: Path, model: Path) -> Path:
    """Fill a folder with what `paratopic suggest` and `import` read of a project."""
    copy_settings(folder)
    shutil.copytree(model, Paths(folder).models / model.name)
    (Paths(folder).champion).write_text(json.dumps({"champion": model.name}), encoding="utf-8")
    write_labelled(FRAME, folder)
    write_metadata(FRAME[["id"]], Paths(folder).metadata)
    return folder
