"""Refuse a --study that names no study: nothing in it would be looked at."""

from pathlib import Path

from panels.files.watchdog import watch_folders
from panels.text.errors import SettingsFault

SETTINGS = "study.yaml"


def refuse_no_study(study: Path) -> None:
    """Raise SettingsFault where a folder has no study.yaml."""
    watch_folders([study])
    if not (study / SETTINGS).is_file():
        raise SettingsFault(
            f"{study} is not a study: it has no {SETTINGS}. Name a study's folder with --study."
        )
