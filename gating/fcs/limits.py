"""Limit how much of an FCS file is read: what no cytometer writes is refused before it is read.

Each limit lies several times above the largest tube of its kind; together they keep one file below
5 s and 1 GiB through every command.
"""

from panels.text.errors import UnreadableFile

MOST_TEXT_BYTES = 4 * 2**20
"""One TEXT segment. A spectral tube of 600 channels takes 0.3 MB; a spill of 200 × 200 in full
precision, written twice, adds 1.6 MB."""
MOST_KEYWORDS = 100_000
"""The keywords of one data set: 25 for each of the most channels."""
MOST_FILE_KEYWORD_BYTES = 32 * 2**20
"""The TEXT of all data sets: 20 kB for each well of a plate."""
MOST_FILE_KEYWORDS = 500_000
"""The keywords of all data sets: 300 for each well of a plate."""
MOST_DATA_SETS = 2_000
"""A plate reader writes a well a data set, and plates have up to 1,536 wells."""
MOST_CHANNELS = 4_000
"""A spectral cytometer with 200 detectors writes 600 channels (area, height and width), an imaging
one some 1,000."""
MOST_NAME = 256
"""The characters of a detector (``$PnN``) or a label (``$PnS``)."""
MOST_SPILL_CHANNELS = 300
"""A spill has at most a row for each detector, and spectral cytometers have 200."""
MOST_SPILLS = 4
"""Spills that differ in how they are written: there are four keywords for them."""
MOST_EVENTS = 100_000_000
"""An hour and a half at 20,000 events a second; large tubes hold ten million."""
MOST_SECOND_WORK = 2 * 10**9
"""Escaped delimiters times bytes of TEXT above which fcsparser is not used: it copies the value
once for each of them, one second in all."""


def refuse_endless(name: str, data_sets: int, read: int, keywords: int) -> None:
    """Raise UnreadableFile for more than any cytometer writes, before the next data set is read."""
    if read > MOST_FILE_KEYWORD_BYTES:
        raise too_long(name, MOST_FILE_KEYWORD_BYTES)
    if keywords > MOST_FILE_KEYWORDS:
        raise too_many_keywords(name, MOST_FILE_KEYWORDS)
    if data_sets > MOST_DATA_SETS:
        raise UnreadableFile(
            f"{name} holds more than {MOST_DATA_SETS:,} data sets. "
            f"Export each acquisition to a file of its own."
        )


def too_long(name: str, most: int) -> UnreadableFile:
    """Make the fault of a segment or file with more than ``most`` bytes of keywords."""
    return UnreadableFile(
        f"{name} has more than {most // 2**20} MB of keywords, which no cytometer writes. "
        f"Export it again from the cytometer."
    )


def too_many_keywords(name: str, most: int) -> UnreadableFile:
    """Make the fault of a data set or file with more keywords than ``most``."""
    return UnreadableFile(
        f"{name} has more than {most:,} keywords, which no cytometer writes. "
        f"Export it again from the cytometer."
    )
