"""What travels between controller and workers, and at which pace."""
