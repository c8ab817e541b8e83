"""Experiments: what they are, who is in them, and which of them run."""
