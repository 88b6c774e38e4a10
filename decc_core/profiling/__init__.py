"""Where the times of layers come from: measured here, or imported."""
