"""Work in the background of a visit."""
