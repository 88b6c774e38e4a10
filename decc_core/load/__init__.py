"""Files that somebody sent: hostile until proven otherwise, and read in a process of their own."""
