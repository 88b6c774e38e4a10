"""Hostile files by the hundred thousand: one target for each format, fed by Hypothesis or by atheris."""
