"""Content-recommendation engine: embeddings, decayed popularity, editors' rules, ranked lists.

The package reads no clock, no network and no environment: time, seeds and stores are arguments.
"""

__version__ = "0.1.0"
