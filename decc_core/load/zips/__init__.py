"""Zip archives that somebody sent, read without trusting one number in them."""
