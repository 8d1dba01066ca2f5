"""On the path of a program: adds a third kind of model, as an entry of `project.kinds` would."""

from __future__ import annotations

from paratopic.project.kinds import KINDS, Kind

NEAREST = Kind(
    name="nearest",
    title="nearest definition by TF-IDF",
    settings="nearest:Settings",
    fit="nearest:fit",
    classifier="nearest:NearestClassifier",
    colour="#2e7d32",
    night_colour="#7bd88f",
    curve="",
    no_curve="It has nothing to learn.",
)

others = dict(KINDS)
KINDS.clear()
KINDS.update({NEAREST.name: NEAREST} | others)  # it is the simplest
