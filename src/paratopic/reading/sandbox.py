"""Read web pages, Word documents and PDFs in a child process with limits.

A small file may unpack to gigabytes or refer to itself without end, and the libraries that read it
have no limits. One child process reads many files; if a file exceeds its limits, it ends and the
next file starts another one. It ends with its parent, or when a file takes too long.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from subprocess import PIPE, Popen
from threading import Lock
from typing import Any, TypeVar

from paratopic.project.errors import UserError
from paratopic.project.system import OWN_GROUP, limit_memory
from paratopic.reading.article import Segment

# Functions that read segments and fields from the bytes of a file. Error messages have its path.
Readers = tuple[Callable[[bytes, str], list[Segment]], Callable[[bytes], Mapping[str, object]]]
Result = TypeVar("Result")

# Suffixes of the files that are read here; see `_readers`.
FORMATS = (".html", ".htm", ".docx", ".pdf")

# Limits: bytes of memory; seconds, and more seconds per million bytes. PDFs and Word documents that
# contain only text take about 10 seconds per million bytes.
MEMORY = 2_000_000_000
SECONDS, SECONDS_A_MILLION = 20.0, 40.0


def read_in_sandbox(suffix: str, data: bytes, source: str) -> tuple[list[Segment], dict[str, str]]:
    """Read the segments of a file, and the fields of its document, in the child process.

    `suffix` is one of `FORMATS`, and messages name the `source`. Fields are texts, and {} if they
    cannot be read. A `UserError` reports a file that cannot be read, takes too much memory or time,
    or needs a library that is missing. Other errors of readers become a RuntimeError.
    """
    seconds = SECONDS + SECONDS_A_MILLION * len(data) / 1_000_000
    response = _CHILD.send([suffix, source, seconds, len(data)], data)
    if not response:
        raise UserError(
            f"{source}: is too large or too slow to read: it takes more than "
            f"{MEMORY // 10**9} GB of memory or {seconds:.0f} seconds. Divide it into several "
            "files, or copy its text into a .txt file."
        )
    outcome, content, fields = json.loads(response)
    if outcome == "refused":
        raise UserError(content)
    if outcome == "failed":
        raise RuntimeError(f"{source}: {content}")
    return [Segment(*parts) for parts in content], fields


class _Child:
    """The child process. A request starts it, if it has not started yet or has ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.process: Popen[bytes] | None = None

    def send(self, request: list[object], data: bytes) -> bytes:
        """Send a file and return the response in JSON; empty if the process ended."""
        with self._lock:
            # In a fork, the child of the parent process counts as ended.
            if self.process is None or self.process.poll() is not None:
                self.process = _start()
            return _send(self.process, request, data)


def _send(child: Popen[bytes], request: list[object], data: bytes) -> bytes:
    """Send a request and its data; return a line of JSON, or b"" if the child process died."""
    assert child.stdin and child.stdout
    try:
        with suppress(BrokenPipeError):
            child.stdin.writelines([json.dumps(request).encode(), b"\n", data])
            child.stdin.flush()
        response = child.stdout.readline()
    except BaseException:  # after Ctrl+C, say, the next request would get the response to this one
        _stop(child)
        raise
    if not response:
        child.wait()
    return response


_CHILD = _Child()


def _start() -> Popen[bytes]:
    """Start a reading process, and wait until it is ready; a RuntimeError if it ends before."""
    # The child imports the same modules as its parent. Each thread would reserve memory. Only the
    # parent gets Ctrl+C.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", __name__]
    child = Popen(command, env=os.environ | environment, stdin=PIPE, stdout=PIPE, **OWN_GROUP)
    atexit.register(_stop, child)
    assert child.stdout
    if not child.stdout.readline():
        raise RuntimeError(f"{sys.executable} does not start: see above")
    return child


def _stop(child: Popen[bytes]) -> None:
    child.kill()
    child.wait()


def main() -> None:
    """Limit this process's memory, and respond to the requests on stdin until it is closed.

    A request is a line of JSON, [suffix, source, seconds, number of bytes], and the bytes. stdout
    gets the line "ready", then a line of JSON with the `_response` to each request.
    """
    responses, sys.stdout = sys.stdout, sys.stderr
    sys.setrecursionlimit(10_000)  # elements may be nested 2,048 deep
    logging.disable()
    warnings.simplefilter("ignore")
    limit_memory(MEMORY)
    print("ready", file=responses, flush=True)
    for request in sys.stdin.buffer:
        suffix, source, seconds, size = json.loads(request)
        data = sys.stdin.buffer.read(size)
        response = json.dumps(_response(suffix, data, source, seconds))
        print(response, file=responses, flush=True)


def _response(suffix: str, data: bytes, source: str, seconds: float) -> tuple[str, Any, Any]:
    """("read", segments, fields), or ("refused", message, {}) or ("failed", traceback, {}).

    A file is refused for a `UserError` and for a library that is missing.
    """
    try:
        return "read", *_run_limited(seconds, _read_file, _readers(suffix), data, source)
    except ImportError as error:
        message = f"{source}: {suffix} needs {error.name}: pip install 'paratopic[articles]'"
        return "refused", message, {}
    except UserError as error:
        return "refused", str(error), {}
    except Exception:
        return "failed", traceback.format_exc(), {}


def _read_file(readers: Readers, data: bytes, source: str) -> tuple[list[Segment], dict[str, str]]:
    """Read the segments of a file, and the fields of its document that are texts."""
    read_segments, read_fields = readers
    segments, fields = read_segments(data, source), {}
    with suppress(Exception):  # malformed files raise any error inside the libraries
        fields = dict(read_fields(data))
    return segments, {name: text for name, text in fields.items() if isinstance(text, str)}


def _run_limited(seconds: float, reader: Callable[..., Result], *arguments: object) -> Result:
    """Return a reader's result; too much time or memory ends the process, even in a C library."""
    with open(os.devnull, "w") as null:
        faulthandler.dump_traceback_later(seconds, exit=True, file=null)
        try:
            return reader(*arguments)
        except (MemoryError, UserError) as error:
            # A reader may report a lack of memory as damage of the file.
            if isinstance(error, MemoryError) or isinstance(error.__context__, MemoryError):
                os._exit(1)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()


def _readers(suffix: str) -> Readers:
    """The readers of .pdf, of .docx or else of HTML; ImportError if their library is missing."""
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
