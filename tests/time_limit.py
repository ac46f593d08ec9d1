"""End a test that waits for a pipe or reads a device."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def ends_within(seconds: int) -> Iterator[None]:
    """Fail the test when the block takes longer; for hangs, not for speed."""

    def hangs(_number: int, _frame: object) -> None:
        pytest.fail(f"it hangs: still busy after {seconds} seconds")

    usual = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, usual)
