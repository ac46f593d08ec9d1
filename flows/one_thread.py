"""Keep linear algebra to one thread a process; imported before numpy, for that alone.

Work is spread over processes already. The threads of a linear-algebra library then only wait for
each other: with two of them a fit of five parameters takes five times the processor time. The
libraries read the environment at their import, and worker processes inherit it.
"""

import os

for _library in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_library, "1")
