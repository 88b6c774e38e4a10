"""The numbers that stand for resources, for sides and for nothing in the arrays of all compiled loops."""

from __future__ import annotations

EDGE, UPLINK, CLOUD, DOWNLINK = 0, 1, 2, 3
UNKNOWN = -1
NOTHING = -1
"""In place of the time of a transfer that does not happen."""
FREE, ON_EDGE, IN_CLOUD = 0, 1, 2
"""Whether a layer may choose its side (`pin`)."""
