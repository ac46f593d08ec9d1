"""Keep how many tubes are to be looked at, so that `status` need not read all tables for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from tasks.publish.tables import write_atomically
from tasks.store.editions import last_digests

if TYPE_CHECKING:
    from tasks.overview.attention import Attention
    from tasks.store.opening import Store
    from tasks.study.folder import Study

KEPT = ".to_look_at.json"


@dataclass(frozen=True, slots=True)
class Looked:
    """How many tubes a person should look at, and how many of them must not be used before."""

    tubes: int
    stops: int

    @classmethod
    def of(cls, look: Sequence[Attention]) -> Looked:
        """Count the tubes of the front page's list."""
        return cls(len(look), sum(each.severity == "stop" for each in look))


def keep_looked(study: Study, made_of: str, looked: Looked) -> None:
    """Write the numbers beside the front page, with what they were counted of."""
    kept = {"made_of": made_of, "tubes": looked.tubes, "stops": looked.stops}
    write_atomically(study.results / KEPT, (json.dumps(kept) + "\n").encode())


def kept_looked(study: Study, store: Store, recent: Collection[str]) -> Looked | None:
    """Read what was kept; None where there is nothing, or tables or tubes have changed since."""
    try:
        kept = json.loads((study.results / KEPT).read_text(encoding="utf-8"))
        if kept["made_of"] != made_of(store, recent):
            return None
        return Looked(int(kept["tubes"]), int(kept["stops"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def made_of(store: Store, recent: Collection[str]) -> str:
    """Hash what decides which tubes are looked at: the last tables, and what was counted lately."""
    parts = [version("reconflow"), sorted(last_digests(store).items()), sorted(recent)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
