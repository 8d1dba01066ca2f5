"""Files that take too much memory or time are refused, with any library that reads them."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from paratopic.project.errors import UserError
from paratopic.reading import html as html_room
from paratopic.reading import sandbox
from paratopic.reading.article_files import read_file
from paratopic.reading.sandbox import read_in_sandbox
from tests.documents import SAMPLES, html, save, with_part
from tests.programs import environment
from tests.reading.test_pdf import with_content, with_letters
from tests.samples import BODIES


@functools.cache
def spaces(size: int) -> bytes:
    """A compressed stream of `size` bytes of blanks, a multiple of 10 million."""
    blanks = b" " * 10_000_000
    packing = zlib.compressobj()
    start = packing.compress(blanks) + packing.flush(zlib.Z_FULL_FLUSH)
    block = packing.compress(blanks) + packing.flush(zlib.Z_FULL_FLUSH)
    check = 1
    for _ in range(size // len(blanks)):
        check = zlib.adler32(blanks, check)
    blocks = start + block * (size // len(blanks) - 1)
    return blocks + b"\x03\x00" + check.to_bytes(4, "big")  # an empty last block


def with_xml(old: bytes, new: bytes) -> bytes:
    return with_part(SAMPLES[".docx"], "word/document.xml", lambda xml: xml.replace(old, new, 1))


BOMBS: dict[str, Callable[[], bytes]] = {
    "a page of gigabytes.pdf": lambda: with_content(spaces(3_000_000_000)),
    "a page drawn a million times.pdf": lambda: with_content(zlib.compress(b"0 0 m " * 7_000_000)),
    "a font that is its own font.pdf": lambda: SAMPLES[".pdf"].replace(
        b"<< /Type /Font /Subtype /Type1", b"3 0 R %", 1
    ),
    "a font of a billion letters.pdf": lambda: with_letters(
        "begincmap 1 beginbfrange <00000000> <7fffffff> <0041> endbfrange"
    ),
    "a tag of 100,000 attributes.html": lambda: html(
        f"<p {' '.join(f'a{n}=1' for n in range(100_000))}>"
    ).encode(),
    "a million tags.docx": lambda: with_xml(b"<w:p>", b"<w:p>" + b"<w:r/>" * 1_000_000),
}


# One file for each format is enough, except in long runs.
QUICK = (
    "a page drawn a million times.pdf",
    "a tag of 100,000 attributes.html",
    "a million tags.docx",
)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in BOMBS]
)
def test_small_files_that_take_too_much_are_refused_and_the_next_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    monkeypatch.setattr(sandbox, "SECONDS_A_MILLION", 0.0)
    bomb = save(tmp_path, name, BOMBS[name]())
    started = time.monotonic()
    with pytest.raises(UserError) as raised:
        read_file(bomb)
    message = f"{bomb}: is too large or too slow to read: it takes more than 2 GB of memory or 1 "
    assert str(raised.value).startswith(message) and "\n" not in str(raised.value)
    assert time.monotonic() - started < 60
    monkeypatch.undo()
    good = save(tmp_path, f"good{bomb.suffix}", SAMPLES[bomb.suffix])
    assert read_file(good).segments


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_memory_is_limited_even_if_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 120.0)
    bomb, started = BOMBS["a page of gigabytes.pdf"](), time.monotonic()
    with pytest.raises(UserError, match=r"^a\.pdf: is too large or too slow to read"):
        read_in_sandbox(".pdf", bomb, "a.pdf")
    assert time.monotonic() - started < 110


def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix, library in ((".html", "trafilatura"), (".docx", "mammoth"), (".pdf", "pdfminer")):
        for name in [n for n in sys.modules if n.startswith((library, "paratopic.reading."))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, library, None)
        outcome, message, _ = sandbox._response(suffix, SAMPLES[suffix], f"a{suffix}", 60)
        assert outcome == "refused"
        assert message.startswith(f"a{suffix}: {suffix} needs {library}")
        assert message.endswith(": pip install 'paratopic[articles]'")
        monkeypatch.undo()


def broken_reader(*arguments: object) -> None:
    raise IndexError("list index out of range")


def test_an_error_in_a_reader_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_room, "html_segments", broken_reader)
    outcome, report, _ = sandbox._response(".html", b"<p>", "a.html", 60)
    assert outcome == "failed" and "IndexError" in report
    monkeypatch.setattr(sandbox, "_send", lambda *_: json.dumps([outcome, report, {}]))
    with pytest.raises(RuntimeError, match=r"(?s)^a\.html: Traceback .*IndexError"):
        read_in_sandbox(".html", b"<p>", "a.html")


def test_an_article_is_read_if_its_fields_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_room, "html_fields", broken_reader)
    outcome, segments, fields = sandbox._response(".html", SAMPLES[".html"], "a.html", 60)
    assert outcome == "read" and segments and fields == {}


def run(code: str, folder: Path) -> str:
    """Run a program that prints nothing on stderr, and return its output."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    words = [sys.executable, "program.py"]
    ended = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)
    assert ended.stderr == ""
    return ended.stdout


READ = """
from pathlib import Path
from paratopic.reading.article_files import read_file
"""


def test_a_script_without_a_main_guard_reads_and_its_pdfminer_is_its_own(tmp_path: Path) -> None:
    """Modules of the current folder are not imported either."""
    save(tmp_path, "a.pdf", SAMPLES[".pdf"])
    for shadow in ("logging", "pdfminer"):
        (tmp_path / "elsewhere" / shadow).mkdir(parents=True)
        save(tmp_path / "elsewhere" / shadow, "__init__.py", "raise SystemExit(shadow)")
    code = f"""
import os, sys, zlib, logging
import pdfminer.cmapdb, pdfminer.pdffont, pdfminer.pdftypes
modules = [module for name, module in sys.modules.items() if name.startswith("pdfminer")]
before = [(module, name, value) for module in modules for name, value in vars(module).items()]
{READ}
os.chdir("elsewhere")
print(read_file(Path("../a.pdf")).segments[0].text)
import paratopic.reading.pdf
paratopic.reading.pdf.pdf_segments(Path("../a.pdf").read_bytes(), "a.pdf")
print(all(vars(module)[name] is value for module, name, value in before), end=" ")
print(pdfminer.pdftypes.zlib is zlib, hasattr(pdfminer.cmapdb, "range"), end=" ")
print(hasattr(pdfminer.pdffont, "range"), logging.getLogger("pdfminer").level)
"""
    assert run(code, tmp_path) == "Talks went on.\nTrue True False False 0\n"


def test_processes_and_threads_do_not_mix_their_files(tmp_path: Path) -> None:
    for name in "abcd":
        page = html("".join(f"<p>{name} {body}</p>" for body in BODIES))
        save(tmp_path, f"{name}.html", page)
    code = f"""
import os
from concurrent.futures import ThreadPoolExecutor
{READ}
def first(name):
    return read_file(Path(name + ".html")).segments[0].text[0]
assert first("a") == "a"
if fork := os.fork():
    with ThreadPoolExecutor(4) as threads:
        assert "".join(threads.map(first, "abcd" * 20)) == "abcd" * 20
    assert os.waitpid(fork, 0)[1] == 0
    print(first("d"))
else:
    assert "".join(map(first, "cb" * 20)) == "cb" * 20
"""
    assert run(code, tmp_path) == "d\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_child_ends_with_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    """A parent that is interrupted ends its child at once and quietly."""
    save(tmp_path, "good.pdf", SAMPLES[".pdf"])
    save(tmp_path, "bomb.pdf", BOMBS["a font that is its own font.pdf"]())
    code = f"""
import signal

from paratopic.reading import sandbox
from paratopic.reading import html as html_room
{READ}
# A shell that starts the tests in the background makes programs ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
sandbox.SECONDS = {4.0 if how == signal.SIGKILL else 60.0}
read_file(Path("good.pdf"))
try:
    print(sandbox._CHILD.process.pid, flush=True)
    read_file(Path("bomb.pdf"))
except KeyboardInterrupt:
    print(read_file(Path("good.pdf")).segments[0].text)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout and parent.stderr
        child = int(parent.stdout.readline())
        time.sleep(0.5)
        os.killpg(parent.pid, how)
        interrupted = how == signal.SIGINT
        assert parent.stdout.read() == ("Talks went on.\n" if interrupted else "")
        assert parent.stderr.read() == ""
    end = time.monotonic() + 6
    with suppress(psutil.NoSuchProcess):
        # One that has ended may wait for its parent to take notice.
        while psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.1)
