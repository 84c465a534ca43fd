"""Networks from `.pt2` files, and which of them are loaded at all."""
