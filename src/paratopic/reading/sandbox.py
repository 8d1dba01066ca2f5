"""Web pages, Word documents and PDFs are read in a process of their own, which has limits.

A small file may unpack to gigabytes or refer to itself without end, and the libraries that read it
have no limits. One child process reads many files; after a file that was too much for it, another
one is started. It ends with its parent, at the latest when a file takes too long.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import logging
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from paratopic.project.errors import UserError
from paratopic.reading.article import Segment

# Read segments from the bytes of a file, with its path for error messages, and its fields.
ReadSegments = Callable[[bytes, str], list[Segment]]
ReadFields = Callable[[bytes], Mapping[str, object]]
Read = TypeVar("Read")

# Suffixes of the files that are read here; see `_readers`.
FORMATS = (".html", ".htm", ".docx", ".pdf")

# Limits: bytes of memory, and seconds, more of them for larger files. PDFs and Word documents of
# nothing but text take some 10 seconds a million bytes.
MEMORY = 2_000_000_000
SECONDS, SECONDS_A_MILLION = 20.0, 40.0


def read_in_sandbox(suffix: str, data: bytes, source: str) -> tuple[list[Segment], dict[str, str]]:
    """Read a file in the child process: its segments, and what its document says that it is from.

    The latter is nothing where looking for it fails.

    Raises
    ------
    UserError
        The file cannot be read, takes too much memory or time, or needs a library that is missing.
    """
    seconds = SECONDS + SECONDS_A_MILLION * len(data) / 1_000_000
    reply = _CHILD.ask([suffix, source, seconds, len(data)], data)
    if not reply:
        raise UserError(
            f"{source}: is too large or too slow to read: it takes more than "
            f"{MEMORY // 10**9} GB of memory or {seconds:.0f} seconds. Divide it into several "
            "files, or copy its text into a .txt file."
        )
    outcome, content, fields = json.loads(reply)
    if outcome == "refused":
        raise UserError(content)
    if outcome == "failed":
        raise RuntimeError(f"{source}: {content}")
    return [Segment(*parts) for parts in content], fields


class _Child:
    """The child process, which is started when it is first asked, and again if it ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, question: list[object], data: bytes) -> bytes:
        """Its reply to a question about a file, in JSON; empty if it died of the file."""
        with self._lock:
            # In a fork, the child of the parent process counts as ended.
            if self.process is None or self.process.poll() is not None:
                self.process = _start()
            return _ask(self.process, question, data)


def _ask(child: subprocess.Popen[bytes], question: list[object], data: bytes) -> bytes:
    assert child.stdin and child.stdout
    try:
        with suppress(BrokenPipeError):
            child.stdin.writelines([json.dumps(question).encode(), b"\n", data])
            child.stdin.flush()
        reply = child.stdout.readline()
    except BaseException:  # such as Ctrl+C, after which the next reply would be to this question
        _stop(child)
        raise
    if not reply:
        child.wait()
    return reply


_CHILD = _Child()


def _start() -> subprocess.Popen[bytes]:
    # It imports what its parent would, with few threads, each of which reserves memory. Ctrl+C is
    # for its parent alone.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    atexit.register(_stop, child)
    assert child.stdout
    if not child.stdout.readline():
        raise RuntimeError(f"{sys.executable} does not start: see above")
    return child


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def main() -> None:
    """Reply to the questions on stdin until it is closed."""
    replies, sys.stdout = sys.stdout, sys.stderr
    sys.setrecursionlimit(10_000)  # elements may be nested 2,048 deep
    logging.disable()
    warnings.simplefilter("ignore")
    with suppress(ImportError, OSError, ValueError):  # not on Windows, and macOS refuses
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print("ready", file=replies, flush=True)
    for question in sys.stdin.buffer:
        suffix, source, seconds, size = json.loads(question)
        data = sys.stdin.buffer.read(size)
        reply = _reply(suffix, data, source, seconds)
        print(json.dumps(reply), file=replies, flush=True)


def _reply(suffix: str, data: bytes, source: str, seconds: float) -> tuple[str, Any, Any]:
    """What became of a file, its segments or a message, and its fields."""
    try:
        return "read", *_limited(seconds, _read, *_readers(suffix), data, source)
    except ImportError as error:
        what = f"{suffix} needs {error.name}: pip install 'paratopic[articles]'"
        return "refused", f"{source}: {what}", {}
    except UserError as error:
        return "refused", str(error), {}
    except Exception:
        return "failed", traceback.format_exc(), {}


def _read(
    read_segments: ReadSegments, read_fields: ReadFields, data: bytes, source: str
) -> tuple[list[Segment], dict[str, str]]:
    """The segments of a file, and those fields of its document that are texts."""
    segments, fields = read_segments(data, source), {}
    with suppress(Exception):  # odd files raise any error inside the libraries
        fields = dict(read_fields(data))
    return segments, {name: text for name, text in fields.items() if isinstance(text, str)}


def _limited(seconds: float, read: Callable[..., Read], *arguments: object) -> Read:
    """What a reader returns; too much time or memory ends the process, even inside a C library."""
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            return read(*arguments)
        except (MemoryError, UserError) as error:
            # A reader may have taken a lack of memory for damage.
            if any(isinstance(each, MemoryError) for each in (error, error.__context__)):
                os._exit(1)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()


def _readers(suffix: str) -> tuple[ReadSegments, ReadFields]:
    """The readers of a format: of segments, and of fields."""
    if suffix == ".pdf":
        from paratopic.reading.pdf import pdf_fields, pdf_segments

        return pdf_segments, pdf_fields
    if suffix == ".docx":
        from paratopic.reading.word import word_fields, word_segments

        return word_segments, word_fields
    from paratopic.reading.html import html_fields, html_segments

    return html_segments, html_fields


if __name__ == "__main__":
    main()
