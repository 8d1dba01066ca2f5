"""What a training uses of the machine, sampled while it runs.

It differs from run to run, so that no result depends on it and DVC does not know the file.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds between samples. A shorter training has none.
INTERVAL = 10.0

Sample = dict[str, float]


@contextmanager
def sampled(interval: float = INTERVAL) -> Iterator[list[Sample]]:
    """Sample the use of processors, memory and GPUs while the block runs.

    Parameters
    ----------
    interval
        Seconds between samples.

    Yields
    ------
    The list that samples are added to: ``time`` in milliseconds since 1970, and values under the
    names that MLflow gives them.
    """
    samples: list[Sample] = []
    done = threading.Event()

    def watch() -> None:
        _sample()  # processors: what they did since the sample before
        while not done.wait(interval):
            samples.append(_sample())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _sample() -> Sample:
    import psutil

    memory = psutil.virtual_memory()
    return {
        "time": float(round(time.time() * 1000)),
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": memory.used / 1e6,
        "system_memory_usage_percentage": memory.percent,
    } | _gpus()


def _gpus() -> Sample:
    """Use of NVIDIA's GPUs, if there are any."""
    if shutil.which("nvidia-smi") is None:
        return {}
    query = "--query-gpu=index,utilization.gpu,memory.used"
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    values: Sample = {}
    for line in lines:
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and all(field.isdecimal() for field in fields):
            number, busy, used = fields
            values[f"gpu_{number}_utilization_percentage"] = float(busy)
            values[f"gpu_{number}_memory_usage_megabytes"] = float(used)
    return values
