"""Describe a reported population of a strategy and the rules of its report."""

from typing import Literal

from pydantic import Field, PrivateAttr

from panels.files.strict_model import Identifier, StrictModel


class Population(StrictModel):
    """One reported population and the rules of its report (docs/design.md, Counting rules)."""

    id: Identifier
    gate: Identifier
    label: str
    reference: Identifier
    anchor: tuple[Identifier, ...] = ()
    minimum_parent_events: int = Field(default=0, ge=0)
    detect_events: int | None = Field(default=None, gt=0)
    quantify_events: int | None = Field(default=None, gt=0)
    clinical_threshold_per_ul: float | None = Field(default=None, gt=0)
    background: Literal["none", "baseline", "negative"] = "none"
    specimens: tuple[Literal["blood", "marrow"], ...] = ("blood", "marrow")
    _stains: int = PrivateAttr(default=1)

    @property
    def stains(self) -> int:
        """Give how many stains may each show cells of this population that are none.

        One; of a population that is any of several with a background of their own, so many; of one
        that is all of several, none. Its strategy tells.
        """
        return self._stains
