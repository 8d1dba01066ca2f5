"""Batches of windows that are encoded together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paratopic.transformer.network import chunks


@given(st.lists(st.integers(1, 99), min_size=1, max_size=60), st.integers(1, 9))
def test_chunks_hold_every_row_once(lengths: list[int], size: int) -> None:
    batches = chunks(lengths, size)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
