"""Hold one sentence of an import's report."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["lost", "approximated", "changed", "to do"]


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence of an import's report: what became of a gate, or of the whole document.

    ``gate`` is empty for the document.
    """

    outcome: Outcome
    gate: str
    text: str
