"""Compared lists brought into arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from training.ope.lists import NOBODY, Floats, LoggedLists, Options
from training.ope.policies import Compared, Named, logged_chances


@dataclass
class Gathered:
    """Compared lists of one surface on their way to arrays.

    Attributes:
        lists: in any order.
    """

    lists: list[Compared] = field(default_factory=list)

    def arrays(self, codes: dict[str, int], made_again_only: bool) -> LoggedLists:
        """All lists, or those that came again with their chances; then with chances at places.

        Args:
            codes: of articles; new ones are added.
            made_again_only: which.
        """
        lists = [each for each in self.lists if each.logged_at is not None or not made_again_only]
        readers: dict[tuple[str, str], int] = {}
        places = max((len(each.rewards) for each in lists), default=1)
        shape = (len(lists), places)

        def code(name: str) -> int:
            return codes.setdefault(name, len(codes))

        return LoggedLists(
            np.array([readers.setdefault(each.shown.reader, len(readers)) for each in lists], np.int64),
            _filled(
                shape, [[code(name) for name in each.shown.article_ids] for each in lists], NOBODY
            ).astype(np.int64),
            _filled(shape, [each.rewards for each in lists], 0.0),
            _filled(shape, [logged_chances(each.shown) for each in lists], 1.0),
            _filled(shape, [each.target for each in lists], 1.0),
            _options(shape, [each.next for each in lists], codes),
            _filled(shape, [each.logged_at or () for each in lists], 1.0) if made_again_only else None,
            _filled(shape, [_of_shown(each) for each in lists], 1.0) if made_again_only else None,
            _options(shape, [each.at for each in lists], codes),
            _filled(shape, [[code(name) for name in each.alone] for each in lists], NOBODY).astype(np.int64),
        )


def _of_shown(each: Compared) -> list[float]:
    return [chances.get(name, 0.0) for name, chances in zip(each.shown.article_ids, each.at, strict=True)]


def _filled(shape: tuple[int, int], rows: Sequence[Sequence[float]], missing: float) -> Floats:
    found = np.full(shape, missing)
    for at, row in enumerate(rows):
        found[at, : len(row)] = row
    return found


def _options(shape: tuple[int, int], lists: Sequence[Sequence[Named]], codes: dict[str, int]) -> Options:
    width = max((len(chances) for places in lists for chances in places), default=1)
    articles, found = np.full((*shape, width), NOBODY, dtype=np.int64), np.zeros((*shape, width))
    for at, places in enumerate(lists):
        for place, chances in enumerate(places):
            for number, (name, chance) in enumerate(chances.items()):
                articles[at, place, number] = codes.setdefault(name, len(codes))
                found[at, place, number] = chance
    return Options(articles, found)
