"""Where the files of a project are, relative to its root: each path once."""

from __future__ import annotations

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE, LOCK = Path("dvc.yaml"), Path("dvc.lock")
# What language models are asked (`paratopic annotate`).
PROMPT = Path("prompt.md")

DATA = Path("data")
PARAGRAPHS = DATA / "paragraphs.parquet"
ANSWERS = DATA / "answers.parquet"
METADATA = DATA / "metadata.parquet"
FOLDS = DATA / "folds.parquet"
SCORES = DATA / "oof"
# In each model's folder of it: scores of models that know definitions alone.
BY_DEFINITIONS = "definitions.parquet"
ALONE = "alone.parquet"
# And of paragraphs that are in no fold, because their topics are in one article alone.
APART = "apart.parquet"
# What the champion predicts for all paragraphs, kept by the commands `shares` and `report`.
PREDICTED = DATA / "predicted.parquet"

# What fits that were killed go on from; it goes when the stage is done. DVC keeps it out of git.
CHECKPOINTS = Path(".dvc/tmp/paratopic")

MODELS = Path("models")
CHAMPION = MODELS / "champion"

REPORTS = Path("reports")
MODEL_REPORTS = REPORTS / "models"
# In each model's folder of it: what the model that ships learnt from, and its card.
FINAL, MODEL_CARD = "final.json", "card.md"
INSTALLED = REPORTS / "installed.json"
PREPARED = REPORTS / "prepare.json"
SKIPPED = REPORTS / "skipped.csv"
SPLIT = REPORTS / "split.json"
COMPARISON = REPORTS / "comparison.json"
HEADLINES = REPORTS / "macro_f1.json"
PICTURE = REPORTS / "comparison.png"
PAGE = REPORTS / "index.html"
# The same with what `paratopic report --open` adds: no stage writes it.
WHOLE_PAGE = REPORTS / "report.html"


def root_with(path: Path) -> Path | None:
    """Find the current directory, or the nearest one above it, that has a path of a project."""
    here = Path.cwd()
    return next((root for root in (here, *here.parents) if (root / path).exists()), None)


def template() -> Path:
    """Folder of the files that projects share: in the wheel, or the repository that it is made of.

    A package that is installed from a repository's folder has the repository's files.
    """
    package = Path(__file__).parents[1]
    inside = package / "template"
    return inside if inside.exists() else package.parents[1]
