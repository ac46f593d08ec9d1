"""Hold the rules of the non-compartmental analysis, each of which a study may set."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Below = Literal["zero", "drop"]
WINDOWS = {28: 3.0, 84: 7.0, 168: 14.0}


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TerminalRules(_Rules):
    """When a terminal decline is steady enough for a half-life (defaults as PKNCA's).

    Of all fits to the last ``minimum_points`` or more quantified samples after the peak the best
    adjusted r² wins, among those within ``tie`` of it the one with most points. It needs
    ``minimum_r2``, to span ``minimum_span`` half-lives, and to leave at most
    ``maximum_extrapolated`` of the whole area beyond the last sample.
    """

    minimum_points: int = Field(default=3, ge=3)
    tie: float = Field(default=1e-4, ge=0)
    minimum_r2: float = Field(default=0.9, ge=0, le=1)
    minimum_span: float = Field(default=2.0, ge=0)
    maximum_extrapolated: float = Field(default=0.20, ge=0, le=1)


class NcaRules(_Rules):
    """What enters a curve, and how its area is taken.

    ``blq_first``, ``blq_middle`` and ``blq_last`` say of samples below the limit of quantification
    (BLQ) before the first quantified one, between quantified ones and after the last one whether
    they count as ``zero`` or are left out (``drop``); the curve starts at zero at infusion in any
    case. ``auc_method``: ``lin-up-log-down`` is linear while rising and logarithmic while falling.
    ``windows`` are how far (days) from the end of a partial area a sample may lie and still stand
    for that day, ``persistence`` the days that are week 24. ``duplicates``: two samples at one time
    are refused, or replaced by their average (BLQ counting as zero).
    """

    blq_first: Below = "zero"
    blq_middle: Below = "drop"
    blq_last: Below = "zero"
    auc_method: Literal["lin-up-log-down", "linear"] = "lin-up-log-down"
    windows: Mapping[int, float] = Field(default_factory=lambda: dict(WINDOWS))
    persistence: tuple[float, float] = (154.0, 182.0)
    duplicates: Literal["refuse", "average"] = "refuse"
    terminal: TerminalRules = TerminalRules()

    @model_validator(mode="after")
    def _windows_hang_together(self) -> "NcaRules":
        if set(self.windows) != set(WINDOWS) or min(self.windows.values()) < 0:
            raise ValueError(
                f"windows are given for the days {', '.join(map(str, WINDOWS))}, none below 0"
            )
        if not 0 <= self.persistence[0] < self.persistence[1]:
            raise ValueError("persistence is a first and a last day")
        return self

    def unusual(self) -> str:
        """Name the rules that are not the usual ones, as they stand beside a parameter.

        Written like ``auc_method=linear;blq_middle=zero``.
        """
        given, usual = _flat(self), _flat(NcaRules())
        return ";".join(
            f"{name}={_short(value)}"
            for name, value in sorted(given.items())
            if value != usual[name]
        )


def _flat(rules: NcaRules) -> dict[str, object]:
    """Give every rule by its name in study.yaml, terminal ones as ``terminal.…``."""
    flat = rules.model_dump()
    terminal = flat.pop("terminal")
    return flat | {f"terminal.{name}": value for name, value in terminal.items()}


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{each:g}" for key, each in value.items())
    if isinstance(value, tuple):
        return "-".join(f"{each:g}" for each in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
