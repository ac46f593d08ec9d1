"""Say how much of an FCS file is read: what no cytometer writes is refused before it costs anything.

Each limit lies several times above the largest tube of its kind; together they keep one file below
5 s and 1 GiB through every command.
"""

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
MOST_SPILL_CHANNELS = 500
"""A spill reads one detector a row, and spectral cytometers have 200."""
MOST_SPILLS = 4
"""Spills that differ in how they are written: there are four keywords for them."""
MOST_SECOND_WORK = 2 * 10**9
"""Escaped delimiters times bytes of TEXT from which fcsparser is not asked: it copies the value once
for each of them, one second in all."""
