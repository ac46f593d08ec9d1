"""Do one piece of work in a worker process, whichever way it came there."""

import pickle
from collections.abc import Callable, Sequence
from typing import TypeVar

from panels.text.quoting import note_place, unexpected
from tasks.store.fence import Held, holding

R = TypeVar("R")


class DidNotEnd(TimeoutError):
    """A piece of work was given up because it did not end; begun again it would hang again."""

    @classmethod
    def within(cls, seconds: float) -> "DidNotEnd":
        """Say how long it was waited for."""
        return cls(f"The work did not end within {seconds:g} seconds. Does the share answer?")


def name_of(work: Callable[..., object], args: Sequence[object]) -> str:
    """Name a piece of work for people: what is done, to which tube (short hash) or patient."""
    done, done_to = work.__name__.replace("_", " "), args[0] if args else None
    if isinstance(done_to, str):
        return f"{done} {done_to:.12}"
    return f"{done} {getattr(done_to, 'patient', '')}".strip()


def do_piece(
    shared: object, work: Callable[..., R], args: Sequence[object], locks: Sequence[Held] = ()
) -> R:
    """Give the result of ``work(shared, *args)``, done under the locks of the pass.

    Raises what it raised; RuntimeError instead of an error that cannot cross the border to the
    process that waits, which would break more than this piece.
    """
    try:
        with holding(*locks):
            return work(shared, *args)
    except Exception as error:
        note_place(error)
        if _crosses(error):
            raise
        raise RuntimeError(unexpected(error)) from None


def _crosses(error: Exception) -> bool:
    """Tell whether an error can be pickled here and made anew by the process that waits."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was written in the same line
    except Exception:  # noqa: BLE001 - whatever its class raises, it does not cross
        return False
    return True
