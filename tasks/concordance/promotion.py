"""Make a compared version the current one: an act of its own, recorded with who, why and on what comparison."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from panels.errors import SettingsFault, UsageFault
from tasks.concordance.compare import fingerprint_of
from tasks.concordance.publish import INPUTS
from tasks.concordance.recount import comparison, folder_of, tubes_to_compare
from tasks.publish.tables import write_atomically
from tasks.settings import FILE_NAME, load_settings
from tasks.store.promotions import Promotion, save_promotion
from tasks.study import Study


def promote(study: Study, strategy: str, approved_by: str, reason: str) -> Promotion:
    """Write a version into study.yaml and the promotion into the ledger.

    Raises UsageFault when it was not compared with the archive as it is now, or name or reason are missing; SettingsFault when
    study.yaml is of a shape that is better edited by hand.
    """
    if not approved_by.strip() or not reason.strip():
        raise UsageFault("A promotion needs who approved it and why: --approved-by NAME --reason TEXT.")
    compared = comparison(study, strategy)
    mark = folder_of(study, compared) / INPUTS
    how = f"run: reconflow regate --strategy {compared.other.name}"
    if not mark.is_file():
        raise UsageFault(f"{compared.other.name} was not compared with {compared.current.name} yet; {how}")
    if tubes_to_compare(study, compared) or mark.read_text() != fingerprint_of(study, compared):
        raise UsageFault(f"The comparison of {compared.other.name} is not of the archive as it is now; {how}")
    promotion = Promotion(compared.panel, compared.current.name, compared.other.name, approved_by, reason, mark.read_text())
    pins = {panel: pin for panel, pin in study.settings.strategies.items() if panel != compared.panel}
    _write_pin(study.folder / FILE_NAME, compared.panel, compared.other.name, pins)
    with study.store() as store:
        save_promotion(store, promotion)
    return promotion


def _write_pin(path: Path, panel: str, pin: str, others: dict[str, str]) -> None:
    """Change one line of study.yaml and leave every other byte; what comes of it is read before it is kept."""
    text = path.read_text(encoding="utf-8")
    document = yaml.safe_load(text) or {}
    listed = document.get("strategies")
    if listed is None:
        lines = "".join(f"  {name}: {each}\n" for name, each in {**others, panel: pin}.items())
        changed = f"{text.rstrip()}\n\nstrategies:\n{lines}"
    elif panel in listed:
        line = re.compile(rf"^(\s+{re.escape(panel)}:\s*)['\"]?{re.escape(str(listed[panel]))}['\"]?(\s*(?:#.*)?)$", re.MULTILINE)
        changed, times = line.subn(rf"\g<1>{pin}\g<2>", text)
        if times != 1:
            raise SettingsFault(f"{path.name}: strategies: write '{panel}: {pin}' there by hand; the line could not be found for certain.")
    else:
        changed, times = re.subn(r"^(strategies:[^\S\n]*\n)", rf"\g<1>  {panel}: {pin}\n", text, count=1, flags=re.MULTILINE)
        if times != 1:
            raise SettingsFault(f"{path.name}: strategies: write '{panel}: {pin}' there by hand; the place could not be found for certain.")
    expected = {**document, "strategies": {**(listed or others), panel: pin}}
    if yaml.safe_load(changed) != expected:
        raise SettingsFault(f"{path.name}: strategies: write '{panel}: {pin}' there by hand; the file has an unusual shape.")
    write_atomically(path, changed.encode())
    load_settings(path.parent)
