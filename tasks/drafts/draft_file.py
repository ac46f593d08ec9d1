"""Find and read the drafts of a study: calibrations and strategies that are not released."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gating.calibration.catalogue import DAYS, calibration_of, place_of
from gating.calibration.catalogue import drafts_in as calibration_drafts
from gating.calibration.catalogue import read_lock as calibration_lock
from gating.calibration.model import PIN, STRATEGY_PIN, CalibrationRelease
from gating.strategy.catalogue import MOST_VALUES, draft_of, read_lock
from gating.strategy.catalogue import drafts_in as strategy_drafts
from gating.strategy.model import Release
from panels.files.user_file import NotReadable, read_user_file
from panels.files.yaml_document import YamlDocument, parse_yaml
from panels.files.yaml_nodes import MOST_BYTES
from panels.text.errors import CalibrationFault, StrategyFault, UsageFault
from panels.text.printable import shown
from panels.text.spelling import nearest
from tasks.study.folder import Study

Kind = Literal["calibration", "strategy"]
FAULTS: Mapping[Kind, type[UsageFault]] = {
    "calibration": CalibrationFault,
    "strategy": StrategyFault,
}


class NoSuchDraft(UsageFault):
    """A name that is no draft of the study."""


@dataclass(frozen=True, slots=True)
class DraftName:
    """Which draft: ``bcell/lyric-2@1.0.0`` of a calibration, ``bcell@3.1.0`` of a strategy."""

    kind: Kind
    pin: str

    @property
    def key(self) -> str:
        """Write it as an address: ``calibration/bcell/lyric-2/1.0.0``."""
        return f"{self.kind}/{self.pin.replace('@', '/')}"

    @property
    def subject(self) -> str:
        """Name it in the log of decisions."""
        return f"{self.kind} {self.pin}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as its file holds it, or as it would with other numbers.

    ``text`` is that of the file, ``stamp`` the SHA-256 of its bytes; ``document`` and ``release``
    are what it says.
    """

    name: DraftName
    text: str
    stamp: str
    document: YamlDocument
    release: CalibrationRelease | Release

    @property
    def path(self) -> Path:
        """Give its file."""
        return self.document.path

    @property
    def panel(self) -> str:
        """Name the panel whose tubes it is for."""
        release = self.release
        if isinstance(release, CalibrationRelease):
            return release.calibration.panel
        return release.strategy.panel

    def with_content(self, study: Study, content: Any) -> Draft:
        """Give the draft with other content; raises a UsageFault where that is none."""
        document = replace(self.document, content=content)
        return replace(
            self, document=document, release=_release_of(study, self.name.kind, document)
        )


def known_drafts(study: Study) -> list[DraftName]:
    """List the drafts of a study: calibrations, then strategies; raises where a LOCK is damaged."""
    calibrations = calibration_drafts(study.own_calibrations)
    strategies = strategy_drafts(study.own_strategies)
    return [
        *(DraftName("calibration", pin) for pin in calibrations),
        *(DraftName("strategy", pin) for pin in strategies),
    ]


def draft_named(study: Study, key: str) -> DraftName:
    """Read the address of a draft; raises NoSuchDraft where the study has no such draft."""
    kind, _, place = key.partition("/")
    pin = "@".join(place.rsplit("/", 1))
    if kind == "calibration" and re.fullmatch(PIN, pin):
        name, locked = DraftName("calibration", pin), calibration_lock(study.own_calibrations)
    elif kind == "strategy" and re.fullmatch(STRATEGY_PIN, pin):
        name, locked = DraftName("strategy", pin), read_lock(study.own_strategies)
    else:
        raise NoSuchDraft(f"'{shown(key)}' is no name of a draft.")
    if pin in locked:
        raise NoSuchDraft(
            f"The {name.subject} is released and no draft any more. Make another version."
        )
    if not path_of(study, name).is_file():
        raise NoSuchDraft(f"There is no draft {pin} in this study.")
    return name


def draft_of_pin(study: Study, pin: str) -> DraftName:
    """Find a draft by its pin; raises NoSuchDraft where the study has no such draft."""
    known = {each.pin: each for each in known_drafts(study)}
    if pin not in known:
        raise NoSuchDraft(
            f"There is no draft '{shown(pin)}' in this study{nearest(pin, known) or '.'} "
            f"Its drafts: {', '.join(known) or 'none'}."
        )
    return known[pin]


def path_of(study: Study, name: DraftName) -> Path:
    """Give the file of a draft."""
    if name.kind == "calibration":
        return place_of(study.own_calibrations, name.pin)
    return study.own_strategies / name.pin.replace("@", "/") / "strategy.yaml"


def read_draft(study: Study, name: DraftName) -> Draft:
    """Read a draft; raises a UsageFault naming file, line and what to do where it is none."""
    path, fault = path_of(study, name), FAULTS[name.kind]
    try:
        written = read_user_file(path, MOST_BYTES)
        text = written.decode("utf-8-sig")
    except NotReadable as error:
        raise fault(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise fault(f"{path}: the file is not UTF-8 text. Save it as UTF-8.") from error
    document = parsed(name.kind, text, path)
    if not isinstance(document.content, Mapping):
        raise fault(
            f"{path}: there is no {name.kind} in it: it is empty, or not written as 'key: value'. "
            f"Draft it anew, or bring back its text."
        )
    draft = Draft(
        name,
        text,
        hashlib.sha256(written).hexdigest(),
        document,
        _release_of(study, name.kind, document),
    )
    if pin_of(draft.release) != name.pin:
        raise fault(
            f"{path}: says it is {pin_of(draft.release)}, but lies in the place of {name.pin}."
        )
    return draft


def parsed(kind: Kind, text: str, path: Path) -> YamlDocument:
    """Read the text of a draft; raises a UsageFault for what is no YAML."""
    days, most = (DAYS, None) if kind == "calibration" else ((), MOST_VALUES)
    options = {} if most is None else {"most_values": most}
    return parse_yaml(text, path, FAULTS[kind], days=days, **options)


def pin_of(release: CalibrationRelease | Release) -> str:
    """Name a calibration or strategy by itself."""
    if isinstance(release, CalibrationRelease):
        return release.calibration.pin
    return release.strategy.name


def _release_of(study: Study, kind: Kind, document: YamlDocument) -> CalibrationRelease | Release:
    if kind == "calibration":
        return calibration_of(document)
    return draft_of(document, study.own_panels)
