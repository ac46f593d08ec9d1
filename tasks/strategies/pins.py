"""Write which strategy version counts a panel into study.yaml, and finish what a killed promotion left half-done."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panels.files.durable import write_durably
from panels.files.yaml_document import parse_yaml
from panels.text.errors import SettingsFault
from tasks.store.promotions import PinChange, end_promotion, pin_changes_of
from tasks.strategies.in_use import pins_of
from tasks.study.folder import Study, open_study
from tasks.study.settings import DAYS, FILE_NAME

MARK = "\ufeff"
"""The byte-order mark that editors of Windows put before the text."""


def finish_promotions(study: Study) -> Study:
    """Give study.yaml the pins of promotions that were written down and then interrupted; gives the study as it is then.

    A pin that somebody wrote by hand in the meantime stays. To be called under the study's lock.
    """
    with study.store() as store:
        for change in pin_changes_of(store).values():
            present = pins_of(study).get(change.panel, "")
            if present == change.from_strategy:
                write_pin(study, changed_settings(study, change))
                present = change.to_strategy
            end_promotion(store, change.panel, present)
            study = open_study(study.folder)
    return study


def write_pin(study: Study, text: str) -> None:
    """Put a new text of study.yaml in place of the old one."""
    write_durably(study.folder / FILE_NAME, text.encode())


def changed_settings(study: Study, change: PinChange) -> str:
    """Give study.yaml with one pin changed and every other byte left; raises SettingsFault where that is better done by hand.

    Where it names no strategies at all it gets those in use of all panels.
    """
    path = study.folder / FILE_NAME
    # As bytes: the ends of lines stay as they are.
    written = path.read_bytes().decode("utf-8")
    text = written.removeprefix(MARK)
    document = _settings_in(text, path)
    listed = document.get("strategies")
    others = (
        {}
        if listed
        else {panel: pin for panel, pin in pins_of(study).items() if panel != change.panel}
    )
    changed = _with_pin(text, change, listed, others)
    expected = {**document, "strategies": {**(listed or others), change.panel: change.to_strategy}}
    if changed is None or _settings_in(changed, path) != expected:
        raise SettingsFault(
            f"{path.name}: strategies: write '{change.panel}: {change.to_strategy}' there by hand; "
            "the place could not be found for certain."
        )
    return f"{MARK if written.startswith(MARK) else ''}{changed}"


def _with_pin(
    text: str, change: PinChange, listed: Mapping[str, str] | None, others: Mapping[str, str]
) -> str | None:
    """Change the line of a pin, or add it; None where there is no such place, or more than one."""
    panel, pin = change.panel, change.to_strategy
    end = "\r\n" if "\r\n" in text else "\n"
    if listed is None:
        lines = "".join(f"  {name}: {each}{end}" for name, each in {**others, panel: pin}.items())
        return f"{text.rstrip()}{end}{end}strategies:{end}{lines}"
    if panel in listed:
        line = re.compile(
            rf"^(\s+{re.escape(panel)}:\s*)['\"]?{re.escape(str(listed[panel]))}['\"]?(\s*(?:#.*)?)$",
            re.MULTILINE,
        )
        changed, times = line.subn(rf"\g<1>{pin}\g<2>", text)
    else:
        changed, times = re.subn(
            r"^(strategies:[^\S\n]*(?:#.*)?\n)",
            rf"\g<1>  {panel}: {pin}{end}",
            text,
            count=1,
            flags=re.MULTILINE,
        )
    return changed if times == 1 else None


def _settings_in(text: str, path: Path) -> dict[str, Any]:
    """Read what the settings would be; the file itself was read before, so that it is a mapping or empty."""
    content = parse_yaml(text, path, SettingsFault, days=DAYS).content
    return content if isinstance(content, dict) else {}
