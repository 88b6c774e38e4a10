"""Plans run on real edge and cloud worker processes over a shaped link."""
