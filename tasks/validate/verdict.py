"""What one check of the qualification found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check: what was asked, whether it holds, and the numbers that show it."""

    part: str
    asked: str
    holds: bool
    evidence: str
