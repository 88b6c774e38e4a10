"""What holds the page together: frame, address, state, and what belongs to one visit."""
