"""What one check of an installation or a study found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "look", "wrong"]
"""``wrong``: numbers or decisions are at risk, or nothing can run; ``look``: a person should."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, a sentence, and what to do where it is not right."""

    check: str
    state: State
    sentence: str
    mend: str = ""
