"""What is noted of the funnel while lists are judged: what its parts earn, what click rates it predicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Candidates
from recsys.profile import Reader
from recsys.state import State
from training.ablation import Ablation
from training.calibration import ClickMap, Reliability

COLD = 5
_READERS = 10


@dataclass
class Insight:
    """Gathered list by list.

    Attributes:
        ablation: the lists without single parts.
        maps: from scores to chances of a click, by surface, fitted on earlier lists.
        reliability: predictions and clicks, by surface that has a map.
        readers: pasts of the first readers of ``for_you``: cold (5 openings or fewer) or not.
    """

    ablation: Ablation = field(default_factory=Ablation)
    maps: dict[str, ClickMap] = field(default_factory=dict)
    reliability: dict[str, Reliability] = field(default_factory=dict)
    readers: dict[bool, list[Reader]] = field(default_factory=lambda: {False: [], True: []})

    @classmethod
    def of(cls, metrics: Mapping[str, Any], seed: int) -> "Insight":
        """For a bundle with these ``metrics`` in its manifest."""
        maps = {name: ClickMap.from_json(values) for name, values in metrics.get("calibration", {}).items()}
        return cls(Ablation(seed), maps)

    def take(
        self,
        state: State,
        surface: str,
        ranked: Candidates,
        scores: NDArray[np.float64],
        labels: NDArray[np.bool_],
        reader: int,
    ) -> None:
        """One judged list: the funnel's candidates with their parts, scores (NaN unknown), clicks."""
        known = ~np.isnan(scores)
        ranker = state.learned.rankers.get(surface)
        names = () if ranker is None else ranker.names
        curves = len(names) if names and ranked.names[-len(names) :] == names else 0
        self.ablation.take(ranked, curves, known, labels, reader)
        if surface in self.maps and known.any():
            predicted = self.maps[surface].predict(scores[known])
            self.reliability.setdefault(surface, Reliability()).take(predicted, labels[known], reader)

    def remember(self, surface: str, reader: Reader | None) -> None:
        """The past of a reader, for examples of lists."""
        if surface != "for_you" or reader is None or len(reader.rows) == 0:
            return
        group = self.readers[len(reader.rows) <= COLD]
        if len(group) < _READERS and not any(np.array_equal(reader.rows, other.rows) for other in group):
            group.append(reader)
