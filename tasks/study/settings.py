"""Read a study's settings, ``study.yaml``: what may be set, defaults, and what is wrong."""

import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from panels.files.watchdog import SHARE_SECONDS, watch_folders
from panels.files.yaml_document import read_yaml
from panels.text.errors import SettingsFault
from panels.text.spelling import nearest
from tasks.counting.limits import LimitSettings
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.recovery import RecoverySettings
from tasks.sheets.columns import FIRST_YEAR, IDENTITY_COLUMNS, LAST_YEAR
from tasks.sheets.filename_pattern import compile_pattern
from tasks.study.nested_folders import refuse_nested
from tasks.study.runner import RunnerSettings
from tasks.study.setting_sentences import setting_sentence

FILE_NAME = "study.yaml"
FOLDERS = ("inbox", "archive", "quarantine", "results")
"""Settings that are folders of the study."""
MOST_WORKERS = 1000
MOST_SENTENCES = 10
"""So many faults of the settings are said at once; more are of one kind."""
DAYS = (("start",),)
"""Settings that are days."""
SHIPPED_STRATEGIES = {"bcell": "bcell@3.0.0", "cart": "cart@4.0.0", "tbnk": "tbnk@4.0.0"}
"""What a new study is counted with. A study that was counted before keeps its versions until others
are promoted."""

CUT_SHORT_BY_SETTLING = 300
"""Unless it is set, a file is refused as cut short after so many times the time in which files
settle.

A copy over a slow share may stand still for minutes; where files need no time to settle, they are
whole when they appear.
"""

Pin = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*@\d+(\.\d+){0,2}$")]
Words = Annotated[str, Field(min_length=1)]


def _known_zone(zone: str) -> str:
    zones = available_timezones()
    if zone not in zones:
        raise ValueError(f"a time zone such as Europe/Berlin is expected{nearest(zone, zones)}")
    return zone


def _a_day(written: object) -> date:
    """Read a day as it is written; a number would be taken for seconds since 1970."""
    text = str(written)
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError as error:
        raise ValueError("there is no such date") from error
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        years = f"from {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(f"a date is expected, written as 2026-03-31, {years}")
    return day


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Day = Annotated[date, BeforeValidator(_a_day)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IntakeSettings(_Settings):
    """How files are taken up from the inbox.

    ``filename_pattern`` is ``{patient}_{visit}_{panel}`` or a regular expression with named groups;
    it is held against the file's name without ending. A file that is not whole by its own account
    is refused when it has not changed for ``cut_short_seconds``. ``keywords`` names the FCS
    keywords that may be believed: none unless the laboratory says so, because cytometers write
    names of persons there.
    """

    mode: Literal["move", "leave"] = "move"
    settle_seconds: float = Field(default=2.0, ge=0, le=3600)
    cut_short_seconds: float | None = Field(default=None, ge=0, le=604_800)
    filename_pattern: str | None = None
    keywords: Mapping[str, Words] = Field(default_factory=dict)

    @property
    def patience_seconds(self) -> float:
        """Give how long a file that is not whole may stay unchanged before it is refused."""
        if self.cut_short_seconds is not None:
            return self.cut_short_seconds
        return CUT_SHORT_BY_SETTLING * self.settle_seconds

    @field_validator("filename_pattern")
    @classmethod
    def _pattern_can_be_read(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            _known_fields(compile_pattern(pattern).groupindex)
        return pattern

    @field_validator("keywords")
    @classmethod
    def _keywords_fill_known_fields(cls, keywords: Mapping[str, str]) -> Mapping[str, str]:
        _known_fields(keywords)
        return keywords


class NightlySettings(_Settings):
    """When the nightly run starts: five cron fields and a time zone (the study's unless set)."""

    cron: str = "0 2 * * *"
    time_zone: TimeZone = "UTC"

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str) -> str:
        if len(cron.split()) != 5:
            raise ValueError(
                'five cron fields are expected, for example "0 2 * * *" (every night at two)'
            )
        return cron


class CohortSettings(_Settings):
    """How the cohort's page compares patients: by a column of patients.csv, or not at all."""

    stratify_by: Words | None = None


class KineticsSettings(_Settings):
    """How the kinetics of CAR T cells are derived.

    The rules of the non-compartmental analysis; the two-phase fit is made only where it is set.

    The fit takes about half a second a population.
    """

    nca: NcaRules = NcaRules()
    biexponential: bool = False


class ReviewSettings(_Settings):
    """How tables are signed; with ``four_eyes`` another person approves than reviewed."""

    four_eyes: bool = True


class ExploreSettings(_Settings):
    """Which compartments are mapped at the end of every night (docs/explore.md)."""

    compartments: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] = ()


class NotifySettings(_Settings):
    """Who is told how a night went: Apprise addresses, or ``$NAME`` of a variable that holds one.

    ``when``: after every night, or after those that ask for a person.
    """

    to: tuple[Words, ...] = ()
    when: Literal["trouble", "always"] = "trouble"


Port = Annotated[int, Field(ge=1, le=65535)]


class UpSettings(_Settings):
    """Ports of ``reconflow up`` on this computer: of Prefect's pages and of the review pages.

    Without one a free port is taken (for the review pages 8737, if it is free).
    """

    port: Port | None = None
    review_port: Port | None = None

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.port is not None and self.port == self.review_port:
            raise ValueError("port and review_port are the same; two are needed")
        return self


class StudySettings(_Settings):
    """All settings of a study; folders are relative to the study folder unless absolute.

    A folder that does not answer for ``share_seconds`` ends what waits for it.
    """

    study: str = Field(min_length=1, max_length=200)
    start: Day | None = None
    time_zone: TimeZone | None = None
    store: str = Field(
        default="sqlite:///reconflow.db", pattern=r"^(sqlite:///.|postgresql\+psycopg://)"
    )
    inbox: Words = "inbox"
    archive: Words = "archive"
    quarantine: Words = "quarantine"
    results: Words = "results"
    share_seconds: float = Field(default=SHARE_SECONDS, ge=1, le=3600)
    intake: IntakeSettings = IntakeSettings()
    strategies: Mapping[str, Pin] = Field(default_factory=lambda: dict(SHIPPED_STRATEGIES))
    limits: LimitSettings = LimitSettings()
    recovery: RecoverySettings = RecoverySettings()
    kinetics: KineticsSettings = KineticsSettings()
    cohort: CohortSettings = CohortSettings()
    review: ReviewSettings = ReviewSettings()
    explore: ExploreSettings = ExploreSettings()
    nightly: NightlySettings = NightlySettings()
    notify: NotifySettings = NotifySettings()
    up: UpSettings = UpSettings()
    runner: RunnerSettings = RunnerSettings()
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=MOST_WORKERS)
    _pinned: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def pinned(self) -> frozenset[str]:
        """Name the panels whose strategy study.yaml names; the others have a default."""
        return self._pinned

    @model_validator(mode="wrap")
    @classmethod
    def _written_pins_are_known(cls, document: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        settings = read(document)
        written = document.get("strategies") if isinstance(document, Mapping) else None
        settings._pinned = frozenset(written or ())  # noqa: SLF001 - its own
        return settings

    @field_validator("strategies")
    @classmethod
    def _shipped_ones_stay(cls, pins: Mapping[str, str]) -> Mapping[str, str]:
        return SHIPPED_STRATEGIES | dict(pins)

    @property
    def local_zone(self) -> str | None:
        """Give the time zone of times without offset; None where the study names none."""
        if self.time_zone is not None:
            return self.time_zone
        return self.nightly.time_zone if "time_zone" in self.nightly.model_fields_set else None

    @property
    def nightly_zone(self) -> str:
        """Give the time zone of the nightly schedule."""
        return (
            self.nightly.time_zone
            if "time_zone" in self.nightly.model_fields_set
            else self.local_zone or "UTC"
        )


def load_settings(folder: Path) -> StudySettings:
    """Read ``study.yaml`` of a study folder, whose folders are watched from now on.

    Raises SettingsFault naming file, line, key and what was expected.
    """
    settings, lines = _read(folder)
    folders = {name: getattr(settings, name) for name in FOLDERS}
    watch_folders((folder / each for each in folders.values()), settings.share_seconds)
    refuse_nested(folder, folders, lines)
    return settings


def read_settings(folder: Path) -> StudySettings:
    """Read ``study.yaml`` as ``load_settings`` does, and look at no folder that it names."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[StudySettings, dict[str, int]]:
    """Read the settings, none of which has to be set, and in which line each key stands.

    The folder is watched before it is asked for anything.
    """
    watch_folders([folder])
    path = folder / FILE_NAME
    try:
        document = read_yaml(path, SettingsFault, days=DAYS)
    except FileNotFoundError as error:
        raise SettingsFault(
            f"{folder} is not a study: it has no {FILE_NAME}. Make one with `reconflow init "
            f"DIR`, or name the study with --study."
        ) from error
    content = {} if document.content is None else document.content
    if not isinstance(content, dict):
        raise SettingsFault(
            f"{path}: settings are written as 'key: value'; the first is 'study: <name of the "
            f"study>'."
        )
    lines = dict(document.keys())
    try:
        settings = StudySettings.model_validate({"study": folder.resolve().name, **content})
    except ValidationError as error:
        first = error.errors()[:MOST_SENTENCES]
        sentences = (setting_sentence(path, each, lines, StudySettings) for each in first)
        raise SettingsFault("\n".join(sentences)) from error
    document.refuse_truths(settings, SettingsFault)
    return settings, lines


def _known_fields(names: Mapping[str, Any]) -> None:
    for name in names:
        if name not in IDENTITY_COLUMNS:
            raise ValueError(
                f"'{name}' is not a column of samples.csv{nearest(name, IDENTITY_COLUMNS)}"
            )
