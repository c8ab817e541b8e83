"""Which articles may stand in lists at all, kept from one publication or expiry to the next."""

import numpy as np
from numpy.typing import NDArray

ANY = -1
When = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]
Codes = NDArray[np.int32]
Wanted = tuple[int, int | None]


class OpenArticles:
    """Masks of the articles that are servable, published and not expired."""

    def __init__(self) -> None:
        self._since, self._until = np.inf, -np.inf
        self._masks: dict[Wanted, NDArray[np.bool_]] = {}
        self._changed: set[int] = set()

    def changed(self, row: int) -> None:
        """Tell that an article came, changed or went."""
        self._changed.add(row)

    def at(self, now: float, when: When, languages: Codes, sites: Codes, wanted: Wanted) -> NDArray[np.bool_]:
        """(n,) mask of the moment; kept, so it must not be written to.

        Args:
            now: unix seconds.
            when: (n,) whether each article is servable; (n,) when it is published and (n,) when it
                expires, in unix seconds (NaN unknown, infinity never).
            languages, sites: (n,) codes, -1 for none.
            wanted: codes of language (-1 for any) and site (None for any) that known ones must equal.
        """
        everything = self._masks.get((ANY, None))
        if everything is None or len(everything) != len(sites) or not self._since <= now < self._until:
            self._begin(now, *when)
        elif self._changed:
            self._follow(now, when, languages, sites)
        self._changed.clear()
        found = self._masks.get(wanted)
        if found is None:
            found = self._masks[wanted] = self._masks[ANY, None] & _fitting(wanted, languages, sites)
        return found

    def _begin(
        self,
        now: float,
        servable: NDArray[np.bool_],
        published: NDArray[np.float64],
        expires: NDArray[np.float64],
    ) -> None:
        coming, over = published > now, expires <= now
        self._masks = {(ANY, None): servable & ~(coming | over)}
        # NaN is no time: it neither comes nor goes
        later = (published[coming].min(initial=np.inf), expires[~over].min(initial=np.inf))
        earlier = (published[published <= now].max(initial=-np.inf), expires[over].max(initial=-np.inf))
        self._since, self._until = float(max(earlier)), float(min(later))

    def _follow(self, now: float, when: When, languages: Codes, sites: Codes) -> None:
        rows = np.array(sorted(self._changed), dtype=np.intp)
        servable, published, expires = when[0][rows], when[1][rows], when[2][rows]
        times = np.concatenate((published, expires))
        self._since = max(self._since, float(times[times <= now].max(initial=-np.inf)))
        self._until = min(self._until, float(times[times > now].min(initial=np.inf)))
        is_open = servable & ~((published > now) | (expires <= now))
        for wanted, mask in self._masks.items():
            # a new array: whoever holds the old one goes on with what it was given
            fresh = mask.copy()
            fresh[rows] = is_open & _fitting(wanted, languages[rows], sites[rows])
            self._masks[wanted] = fresh


def _fitting(wanted: Wanted, languages: Codes, sites: Codes) -> NDArray[np.bool_]:
    language, site = wanted
    fits = np.ones(len(sites), dtype=bool)
    if language != ANY:
        fits &= (languages == language) | (languages == ANY)
    if site is not None:
        fits &= (sites == site) | (sites == ANY)
    return fits
