"""One bundle in service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys.bundle import Bundle
from recsys.config import under
from recsys.experiments.definition import Value
from recsys.exploring import Explorer
from recsys.pipeline import Funnel
from recsys.state import State
from recsys.store.contents import StoredArticle

if TYPE_CHECKING:
    from serving.freshness import RankingMemo


@dataclass
class Progress:
    """How far a state has followed the store: its last event, and its last change of an article."""

    event_seq: int = 0
    article_seq: int = 0


@dataclass
class Served:
    """One bundle in service; a request holds one reference from start to end.

    Attributes:
        bundle, state, funnel: never exchanged; the state lives on with the store.
        progress: how far the state has followed the store; sides of experiments share it.
        waiting: articles that are listed and not embedded yet, by id.
        leaning: whether what was learned from clicks is left out of the lists.
        memo: rankings that are kept from one request to the next, None before the first.
        explorer: tries cold articles in finished lists.
    """

    bundle: Bundle
    state: State
    funnel: Funnel
    progress: Progress = field(default_factory=Progress)
    waiting: dict[str, StoredArticle] = field(default_factory=dict)
    leaning: bool = False
    memo: "RankingMemo | None" = None

    def __post_init__(self) -> None:
        self._whole = self.state.config
        self._sides: dict[str, Served] = {}
        self.explorer = Explorer(self.funnel)

    @property
    def event_seq(self) -> int:
        """The store's last event that is counted."""
        return self.progress.event_seq

    @event_seq.setter
    def event_seq(self, value: int) -> None:
        self.progress.event_seq = value

    @property
    def article_seq(self) -> int:
        """The store's last change of an article that is known."""
        return self.progress.article_seq

    @article_seq.setter
    def article_seq(self, value: int) -> None:
        self.progress.article_seq = value

    def lean(self, wanted: bool) -> None:
        """Rank by fresh counters and content alone, or again by what was learned too."""
        self.leaning = wanted
        self.state.config = self._whole.without_learning() if wanted else self._whole
        self._sides.clear()
        # rankings that were kept for the catalogue as it stands are of the other kind
        self.state.catalog.version += 1

    def side(self, overrides: Mapping[str, Value]) -> "Served":
        """The same bundle and state under another configuration: a side of an experiment.

        Everything that is counted and known is shared; made once and kept.

        Raises:
            ConfigError: what is overridden is not there or may not differ.
        """
        if not overrides:
            return self
        key = json.dumps(overrides, sort_keys=True)
        if key not in self._sides:
            state = self.state.under(under(self._whole, overrides, "an experiment"))
            if self.leaning:
                state.config = state.config.without_learning()
            funnel = Funnel(state)
            self._sides[key] = Served(self.bundle, state, funnel, self.progress, self.waiting, self.leaning)
        return self._sides[key]

    def drop_sides(self) -> None:
        """Forget the sides of experiments that no longer run; requests that hold one keep it."""
        self._sides.clear()

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self.bundle.version

    @property
    def model_id(self) -> str:
        """Identity of the embedding model of its vectors."""
        return str(self.bundle.manifest["embedder"]["model_id"])
