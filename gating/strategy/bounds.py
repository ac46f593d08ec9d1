"""Limit how much a gating document may hold, so that none stops a night.

Each bound is several times what a laboratory's strategies and workspaces hold.
"""

MOST_GATES = 600
MOST_LEVELS = 30
"""FlowKit builds its tree anew for each gate: 600 gates in 30 levels take it 4 s, in 600 levels
25 s; a strategy has some 10 levels."""
MOST_CORNERS = 2_000
"""Of one polygon. Each event is held against each edge: a million events take some 5 s; FlowJo's
largest, drawn by itself along a contour, have some 200 corners."""
MOST_CORNERS_TOGETHER = 20_000
MOST_TAGS = 400_000
"""Tags and attributes of a Gating-ML document together: what the bounds above allow, twice."""
LONGEST_NAME = 500
"""Letters in the name of a gate, a channel or a scale."""
