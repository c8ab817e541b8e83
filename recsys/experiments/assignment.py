"""Which side of an experiment a reader is on: a salted hash, the same on every worker and at any time.

Each side draws a number for the reader, and the side with the highest weighted draw has them (weighted
rendezvous hashing: Thaler and Ravishankar, IEEE/ACM Transactions on Networking 6 (1998); the weights as in
Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters 97
(2006)). So a side that grows keeps all its readers, and only gains some of others.
"""

import hashlib
import math

from recsys.experiments.definition import Experiment, Variant

_HOLDOUT = "holdout"


class Draw:
    """Numbers in (0, 1] that follow from a salt and a reader's id.

    Args:
        salt: draws of different salts are independent.

    Example:
        >>> Draw("a").of("reader-1") == Draw("a").of("reader-1") != Draw("b").of("reader-1")
        True
    """

    __slots__ = ("_begun",)

    def __init__(self, salt: str) -> None:
        # a length in front, so that no salt and id can be cut in another way
        text = salt.encode()
        self._begun = hashlib.blake2b(b"%d:%s\0" % (len(text), text), digest_size=8)

    def of(self, reader_id: str) -> float:
        """The number of one reader."""
        drawn = self._begun.copy()
        drawn.update(reader_id.encode())
        return ((int.from_bytes(drawn.digest(), "big") >> 11) + 1) * 2.0**-53


_HELD_OUT = Draw(_HOLDOUT)


class Sides:
    """The sides of one experiment, ready to be drawn from.

    Args:
        experiment: its definition.
        low: where its readers begin in the layer, in [0, 1); they end ``traffic`` further on.
    """

    __slots__ = ("_draws", "_high", "_holdout", "_layer", "_low")

    def __init__(self, experiment: Experiment, low: float = 0.0) -> None:
        salt = experiment.id if experiment.salt is None else experiment.salt
        self._draws = [(each, Draw(f"{salt}\0{each.name}")) for each in experiment.variants]
        self._holdout = experiment.holdout
        # alone in its layer it is free of what other experiments drew
        self._layer = Draw(f"layer\0{experiment.layer or experiment.id}")
        self._low, self._high = low, low + experiment.traffic

    def takes(self, reader_id: str) -> bool:
        """Whether a reader takes part: not kept out, and in the experiment's share of its layer."""
        if self._holdout and _HELD_OUT.of(reader_id) <= self._holdout:
            return False
        if self._low <= 0.0 and self._high >= 1.0:
            return True
        return self._low < self._layer.of(reader_id) <= self._high

    def of(self, reader_id: str) -> Variant | None:
        """The side of a reader, None for one who takes no part."""
        if not self.takes(reader_id):
            return None
        best, highest = None, -math.inf
        for variant, draw in self._draws:
            # an exponential race: log(u) / w is the largest with a chance of w
            found = math.log(draw.of(reader_id)) / variant.weight
            if found > highest:
                best, highest = variant, found
        return best
