"""Stage report: everything that was measured, as one page to read and to send.

Sections that need the champion to be loaded are left out: `paratopic report --open` adds them.
"""

from __future__ import annotations

from paratopic.findings.page import render_page
from paratopic.project import files
from paratopic.project.folder import Project, run_stage


def main(project: Project) -> None:
    """Run the stage."""
    params, page = project.params, project.paths.page
    files.write_text(page, render_page(project.paths, params.topics, params.models, params.unit))
    print(f"{page}: {page.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    run_stage(main)
