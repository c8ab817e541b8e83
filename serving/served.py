"""One bundle in service."""

from dataclasses import dataclass, field

from recsys.bundle import Bundle
from recsys.pipeline import Funnel
from recsys.state import State
from recsys.store.contents import StoredArticle


@dataclass
class Served:
    """One bundle in service; a request holds one reference from start to end.

    Attributes:
        bundle, state, funnel: never exchanged; the state lives on with the store.
        event_seq, article_seq: how far the state has followed the store.
        waiting: articles that are listed and not embedded yet, by id.
    """

    bundle: Bundle
    state: State
    funnel: Funnel
    event_seq: int = 0
    article_seq: int = 0
    waiting: dict[str, StoredArticle] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self.bundle.version

    @property
    def model_id(self) -> str:
        """Identity of the embedding model of its vectors."""
        return str(self.bundle.manifest["embedder"]["model_id"])
