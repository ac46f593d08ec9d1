"""Say in one sentence how the last pass went and what it asks of a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from panels.text.plural import counted

PassOutcome = Literal["none", "running", "done", "failed", "interrupted"]
LOOKED_BACK = timedelta(hours=24)
"""What was counted so long before the last pass began is new to whoever comes in the morning: a
watcher makes a pass of every tube."""


@dataclass(frozen=True, slots=True)
class Night:
    """How the study stands after the last pass.

    ``at`` is when it ended, or began if it did not end; None without any pass. ``counted`` tubes
    were counted since ``since``; of the tubes ``to_look_at``, ``stops`` must not be used before a
    person decided. ``files`` are refused, failed or waiting, ``sheets`` are faults of the sheets,
    ``notices`` other sentences that ask for something, ``unwritten`` tables or pages could not be
    written. ``uncalibrated`` tubes were counted without a calibration of their instrument;
    ``drifts`` are the notices on the instruments.
    """

    outcome: PassOutcome
    at: datetime | None
    time_zone: str | None
    counted: int = 0
    to_look_at: int = 0
    stops: int = 0
    files: int = 0
    sheets: int = 0
    notices: int = 0
    unwritten: int = 0
    uncalibrated: int = 0
    drifts: int = 0

    @property
    def zone(self) -> str:
        """Name the zone in which times are written: the study's, else UTC."""
        return self.time_zone or "UTC"

    @property
    def needs_you(self) -> int:
        """Count what a person has to put right."""
        return self.files + self.sheets + self.notices + self.unwritten

    @property
    def standing(self) -> Literal["stop", "look", "quiet"]:
        """Sum up how urgent the morning is; never quiet while a tube must not be used."""
        if self.stops or self.unwritten or self.uncalibrated:
            return "stop"
        if self.outcome in ("failed", "interrupted"):
            return "stop"
        if self.to_look_at or self.needs_you or self.outcome == "none":
            return "look"
        return "quiet"

    @property
    def sentence(self) -> str:
        """Say it all in one line."""
        if self.at is None:
            parts = [self._look_words(), self._hand_words()]
            return f"No pass over this study has ended yet: {', '.join(parts)}."
        parts = [self._counted_words(), self._look_words(), self._hand_words()]
        return f"{self._pass_words()}: {'; '.join(parts)}."

    @property
    def attention(self) -> str:
        """Say in one line what to look at beside the files: tubes and instruments."""
        return "; ".join(
            [
                f"tubes: {self._look_words()}",
                f"{self.uncalibrated:,} uncalibrated",
                f"instruments: {counted(self.drifts, 'notice')}"
                + (" (reconflow monitor)" if self.drifts else ""),
            ]
        )

    def _pass_words(self) -> str:
        when = f"{self._shown(self.at)} ({self.zone})"
        return {
            "none": "No pass has ended yet",
            "running": f"A pass is under way since {when}",
            "done": f"The last pass ended {when}",
            "failed": f"The last pass, begun {when}, FAILED (`reconflow run` says why)",
            "interrupted": f"The last pass, begun {when}, WAS INTERRUPTED (the next finishes it)",
        }[self.outcome]

    def _counted_words(self) -> str:
        if not self.counted:
            return "no new tube in the 24 hours before"
        return f"{counted(self.counted, 'tube')} counted since the day before"

    def _look_words(self) -> str:
        if not self.to_look_at:
            return "nothing to look at"
        words = f"{self.to_look_at:,} to look at"
        if self.stops:
            words += f", {self.stops:,} of them not to be used before a person decided"
        return words

    def _hand_words(self) -> str:
        parts = [
            counted(number, thing)
            for number, thing in (
                (self.files, "file"),
                (self.sheets, "sheet fault"),
                (self.notices, "notice"),
                (self.unwritten, "unwritten result"),
            )
            if number
        ]
        if not parts:
            return "nothing needs your hand"
        verb = "needs" if self.needs_you == 1 else "need"
        listed = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
        return f"{listed} {verb} your hand"

    def _shown(self, moment: datetime | None) -> str:
        if moment is None:
            return ""
        return f"{moment.astimezone(ZoneInfo(self.zone)):%a %-d %b %Y, %H:%M}"


def looked_back_from(begun: str | None) -> str:
    """Give the time from which on tubes are new, as the store writes times; empty: all are."""
    if begun is None:
        return ""
    since = datetime.fromisoformat(begun).astimezone(UTC) - LOOKED_BACK
    return since.isoformat(timespec="milliseconds")
