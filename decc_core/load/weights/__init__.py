"""Files of weights, for networks that are known by name."""
