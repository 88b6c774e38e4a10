"""The numbers that stand for resources, for sides and for nothing in the arrays of all compiled loops.

They are compiled in, and code that is kept on disk is not renewed when this file changes: whoever gives one another
value touches the files of the loops, too.
"""

from __future__ import annotations

EDGE, UPLINK, CLOUD, DOWNLINK = 0, 1, 2, 3
UNKNOWN = -1
NOTHING = -1
"""In place of the time of a transfer that does not happen."""
FREE, ON_EDGE, IN_CLOUD = 0, 1, 2
"""Whether a layer may choose its side (`pin`)."""
