"""One bundle in service."""

from dataclasses import dataclass, field

from recsys.bundle import Bundle
from recsys.exploring import Explorer
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
        leaning: whether what was learned from clicks is left out of the lists.
        explorer: tries cold articles in finished lists.
    """

    bundle: Bundle
    state: State
    funnel: Funnel
    event_seq: int = 0
    article_seq: int = 0
    waiting: dict[str, StoredArticle] = field(default_factory=dict)
    leaning: bool = False

    def __post_init__(self) -> None:
        self._whole = self.state.config
        self.explorer = Explorer(self.funnel)

    def lean(self, wanted: bool) -> None:
        """Rank by fresh counters and content alone, or again by what was learned too."""
        self.leaning = wanted
        self.state.config = self._whole.without_learning() if wanted else self._whole
        # rankings that were kept for the catalogue as it stands are of the other kind
        self.state.catalog.version += 1

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self.bundle.version

    @property
    def model_id(self) -> str:
        """Identity of the embedding model of its vectors."""
        return str(self.bundle.manifest["embedder"]["model_id"])
