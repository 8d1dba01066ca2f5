"""Stage report: results in one HTML file, without the sections of `paratopic report --open`."""

from __future__ import annotations

from paratopic.findings.page import render_page
from paratopic.project import files
from paratopic.project.folder import Project, run_stage


def main(project: Project) -> None:
    params, page = project.params, project.paths.page
    files.write_text(page, render_page(project.paths, params.topics, params.models, params.unit))
    print(f"{page}: {page.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    run_stage(main)
