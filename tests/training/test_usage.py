"""Samples of what a training uses of the machine."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from paratopic.training.usage import sampled


def test_samples_are_taken_while_the_block_runs_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, 87, 1024'\necho '1, [N/A], 5'\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    threads = threading.active_count()
    with sampled(interval=0.01) as samples:
        deadline = time.monotonic() + 20
        while len(samples) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert threading.active_count() == threads
    first, second, *_ = samples
    assert first["time"] <= second["time"]
    assert first["system_memory_usage_megabytes"] > 0
    assert {key: value for key, value in first.items() if key.startswith("gpu")} == {
        "gpu_0_utilization_percentage": 87.0,
        "gpu_0_memory_usage_megabytes": 1024.0,
    }


def test_a_short_training_has_no_samples() -> None:
    with sampled() as samples:
        pass
    assert samples == []
