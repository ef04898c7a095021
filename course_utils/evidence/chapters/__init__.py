"""The chapters' experiments."""
