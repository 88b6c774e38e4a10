"""Networks that run: two runtimes behind one face."""
