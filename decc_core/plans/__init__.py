"""A plan, its timing, the rules that it keeps, and its trace."""
