"""The process that reads one file, and what it may still do."""
