"""Suggest the known name that is spelt most like an unknown one; nothing ever acts on it."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name nearest in spelling (``; did you mean 'x'?``); empty when none is."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
