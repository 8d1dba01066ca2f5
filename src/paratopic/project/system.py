"""What operating systems do differently: processors, limits of memory, and writing to the disk.

Linux has all of it. Where a system lacks something, the result is the nearest that it can give.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

# Options of `Popen` for a process that Ctrl+C in the terminal of its parent does not end.
OWN_GROUP: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}


def n_processors() -> int:
    """Number of processors that this process may use, which may be fewer than the machine has.

    `OMP_NUM_THREADS`, which Spark sets for each of its workers, limits it. macOS cannot restrict a
    process to some processors, so the number is that of the machine.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(limit)) if limit.isdigit() else allowed


def limit_memory(n_bytes: int) -> None:
    """Limit the memory of this process; more is a MemoryError. macOS has no such limit."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def sync_folder(folder: Path) -> None:
    """Wait until the names of new files in a folder are on the disk, if the system can do so."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
