"""The exercises themselves: one module a chapter."""
