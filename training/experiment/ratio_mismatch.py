"""Whether readers of the sides stand in the planned proportion.

If they do not, readers were lost or added on one side, rarely at random: a slow variant loses those with bad
connections, a redirect loses bots. What remains cannot be compared, whatever the metrics say.
"""

from collections.abc import Mapping

from scipy import stats

from training.experiment.results import SampleRatio

ALPHA = 0.001
_EXPECTED_AT_LEAST = 5.0


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatio:
    """Chi-square test of the readers of all sides against their weights.

    Args:
        counts: readers by variant; a variant that is absent has none.
        weights: planned share by variant.
    """
    total = sum(counts.get(name, 0) for name in weights)
    share = sum(weights.values())
    seen = {name: int(counts.get(name, 0)) for name in weights}
    expected = {name: total * weight / share for name, weight in weights.items()}
    if not total:
        return SampleRatio(None, seen, expected, False, "Nobody has seen the experiment's lists yet.")
    if min(expected.values()) < _EXPECTED_AT_LEAST:
        note = f"{total:,} readers are too few to say whether the sides stand in their planned proportion."
        return SampleRatio(None, seen, expected, False, note)
    p_value = float(stats.chisquare(list(seen.values()), list(expected.values())).pvalue)
    failed = p_value < ALPHA
    return SampleRatio(p_value, seen, expected, failed, _told(seen, expected, p_value, failed))


def power(readers: float, planned: float, actual: float, alpha: float = ALPHA) -> float:
    """Chance that the test finds a share other than the planned one.

    Args:
        readers: of two sides together.
        planned, actual: share of the first side.
        alpha: of the test.

    Example:
        >>> round(power(100_000, 0.5, 0.51), 3)
        0.999
    """
    shift = readers * (actual - planned) ** 2 * (1.0 / planned + 1.0 / (1.0 - planned))
    return float(stats.ncx2.sf(stats.chi2.isf(alpha, 1), 1, shift))


def _told(seen: Mapping[str, int], expected: Mapping[str, float], p_value: float, failed: bool) -> str:
    sides = ", ".join(
        f"{name} has {count:,} readers where {expected[name]:,.0f} were planned"
        for name, count in seen.items()
    )
    if not failed:
        return f"The sides stand in their planned proportion: {sides}."
    chance = "less than one in a million" if p_value < 1e-6 else f"{p_value:.2g}"
    return f"The sides do not stand in their planned proportion: {sides}; by chance this is {chance}."
