"""Verify the log of a study, and keep how far it went outside the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from panels.files.durable import write_durably
from panels.files.user_file import MEGABYTE, NotReadable, read_user_file
from tasks.store.audit import Head, KeptEntry, entries, noted_head
from tasks.store.audit_chain import Break, first_break
from tasks.store.opening import Store, utc_now
from tasks.store.traced_rows import contradictions
from tasks.study.folder import Study

HEADS = "audit-head.txt"
"""In ``results``: one line each time a pass or a decision found the log longer than before."""
FIRST_LINE = (
    "# How far the log of decisions went: when it was looked at, its number of entries, and the "
    "hash of the last one. A copy kept elsewhere proves later that none of them was changed.\n"
)
_MOST_BYTES = 20 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Trail:
    """The whole log, and what is wrong with it.

    ``broken`` is where its chain breaks; ``faults`` are sentences on what else contradicts it:
    decisions, signatures, exclusions and corrections that were altered, put in or lost,
    or a file of heads that cannot be read.
    """

    entries: Sequence[KeptEntry]
    broken: Break | None
    faults: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Tell whether everything is as it was written."""
        return self.broken is None and not self.faults

    @property
    def sentences(self) -> tuple[str, ...]:
        """Say what is wrong."""
        return (self.broken.how, *self.faults) if self.broken else self.faults


def read_trail(study: Study, store: Store) -> Trail:
    """Read the log of a study and hold it against everything that tells of it."""
    kept, noted = entries(store), noted_head(store)
    try:
        heads = kept_heads(study)
    except NotReadable as error:
        said = f"{HEADS}: {error}"
        return Trail(kept, first_break(kept, noted), (said, *contradictions(store)))
    return Trail(kept, first_break(kept, noted, heads), contradictions(store))


def keep_head(study: Study, store: Store) -> tuple[str, ...]:
    """Add a line on how far the log goes to results/audit-head.txt, when it goes farther now.

    Nothing is added while the log is not as it was written: then the sentences that say so are
    given.
    """
    trail = read_trail(study, store)
    if not trail.verified:
        more = "`reconflow audit` shows the log; docs/review.md says what to do."
        return tuple(f"The log of decisions: {each} {more}" for each in trail.sentences)
    if not trail.entries:
        return ()
    last = trail.entries[-1]
    heads = kept_heads(study)
    if not heads or heads[-1].number < last.number:
        path = study.results / HEADS
        written = path.read_bytes() if path.is_file() else FIRST_LINE.encode()
        line = f"{utc_now()} {last.number} {last.sha256}\n"
        write_durably(path, written + line.encode())
    return ()


def kept_heads(study: Study) -> list[Head]:
    """Read how far the log went at each time that was kept outside the database.

    Raises NotReadable, with the line that is not as it was written.
    """
    try:
        written = read_user_file(study.results / HEADS, _MOST_BYTES)
    except FileNotFoundError:
        return []
    heads = []
    for number, line in enumerate(written.decode("utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if len(words) != 3 or not words[1].isdecimal() or len(words[2]) != 64:
            raise NotReadable(
                f"line {number} is not a time, a number and a hash. Put the file back from the "
                "backup; reconflow alone writes it."
            )
        heads.append(Head(int(words[1]), words[2]))
    return heads
