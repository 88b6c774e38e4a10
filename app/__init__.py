"""The browser page of DECC; it holds no arithmetic of its own."""
