"""Trained networks of the paper (not written yet: see the open issues)."""
