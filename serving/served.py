"""One bundle in service."""

from dataclasses import dataclass

from recsys.bundle import Bundle
from recsys.pipeline import Funnel
from recsys.state import State


@dataclass
class Served:
    """One bundle in service; a request holds one reference from start to end.

    Attributes:
        bundle, state, funnel: never exchanged; the state lives on with the store.
        event_seq, article_seq: how far the state has followed the store.
    """

    bundle: Bundle
    state: State
    funnel: Funnel
    event_seq: int
    article_seq: int

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self.bundle.version
