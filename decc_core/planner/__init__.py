"""How plans are found, and how good any plan can be."""
