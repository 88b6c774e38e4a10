"""A worker: one side of a run."""
