"""Stage report: everything that was measured, as one page to read and to send.

Sections that need the champion to be loaded are left out: `paratopic report --open` adds them.
"""

from __future__ import annotations

from paratopic.findings.page import render_page
from paratopic.project import files
from paratopic.project.files import PAGE
from paratopic.project.params import read_params, run_stage


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    files.write_text(PAGE, render_page(params.topics, params.models, params.unit))
    print(f"{PAGE}: {PAGE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    run_stage(main)
