"""Refuse a study whose folders lie in each other."""

import os
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

from panels.text.errors import SettingsFault


def refuse_nested(folder: Path, folders: Mapping[str, str], lines: Mapping[str, int]) -> None:
    """Raise SettingsFault where one folder lies in another: reasons would be taken for files.

    ``folders`` are those of study.yaml, ``lines`` where its keys stand.
    """
    places = {name: os.path.realpath(folder / place) for name, place in folders.items()}
    for name, other in permutations(folders, 2):
        if not Path(places[name]).is_relative_to(places[other]):
            continue
        set_here = name if name in lines else other
        where = f"{folder / 'study.yaml'}"
        where += f", line {lines[set_here]}" if set_here in lines else ""
        lies = "is the same folder as" if places[name] == places[other] else "lies in"
        raise SettingsFault(
            f"{where}: {set_here}: {name} ({places[name]}) {lies} {other} ({places[other]}). "
            f"Give each of {', '.join(folders)} a folder of its own, in none of the others."
        )
