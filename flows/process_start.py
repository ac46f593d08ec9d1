"""Set how a process of reconflow works, at its start; imported before numpy, for that alone.

Linear algebra keeps to one thread, because work is spread over processes already. The threads of a
linear-algebra library then only wait for each other: with two of them a fit of five parameters
takes five times the processor time. The libraries read the environment at their import, and worker
processes inherit it.

The search for cycles of unreachable objects begins after more new objects than by default. A study
of ten thousand tubes is some million small objects that stay, and to go through them again and
again took two fifths of `reconflow status`.
"""

import gc
import os

NEW_OBJECTS = 100_000
"""So many objects made and not freed start a search (700 by default)."""

for _library in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_library, "1")
gc.set_threshold(NEW_OBJECTS, 20, 50)
