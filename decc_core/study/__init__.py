"""Questions asked of plans: which is best, where the answer changes, what a move would cost, and why."""
