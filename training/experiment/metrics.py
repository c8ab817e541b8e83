"""The metrics of an experiment: what each counts of a reader, and which direction is good.

A table of readers has one row a reader. A metric NAME has there the column ``NAME__num`` and, if it is a
ratio, ``NAME__den``. The prefix ``w_`` marks the same of the fixed window after a reader's first exposure,
``pre_`` of the time before the experiment.
"""

from dataclasses import dataclass
from typing import Literal

WINDOW = "w_"
BEFORE = "pre_"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as in a definition and in the report.
        title: for people.
        kind: ``mean`` of what readers have, or ``ratio`` of the sums of two things that they have. A ratio
            weighs readers by their denominator; readers stay the unit that was drawn.
        counts: what the numerator is, and of a ratio the denominator.
        unit: of the value, empty for a share.
        higher_is_better: False where less is better.
        winsorised_at: quantile of all readers of all variants above which a value is set to it; None where
            values stay as they are.
    """

    name: str
    title: str
    kind: Literal["mean", "ratio"]
    counts: str
    unit: str = ""
    higher_is_better: bool = True
    winsorised_at: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in a table of readers: numerator, and of a ratio the denominator."""
        return (f"{self.name}__num", f"{self.name}__den")[: 1 if self.kind == "mean" else 2]


# clicks and seconds of a few readers are most of the sum: one reader of a thousand is cut
_HEAVY = 0.999

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "ctr",
            "click-through rate",
            "ratio",
            "clicks within 30 minutes of the exposure / articles seen (articles shown where nobody logs "
            "impressions), on the experiment's lists",
        ),
        Metric(
            "clicks_per_reader",
            "clicks per reader",
            "mean",
            "clicks within 30 minutes of the exposure, on the experiment's lists",
            "clicks",
            winsorised_at=_HEAVY,
        ),
        Metric(
            "read_seconds_per_reader",
            "reading time per reader",
            "mean",
            "seconds read, on the whole site",
            "s",
            winsorised_at=_HEAVY,
        ),
        Metric(
            "page_views_per_session",
            "page views per session",
            "ratio",
            "articles opened / sessions (a pause of 30 minutes ends one), on the whole site",
            "views",
        ),
        Metric(
            "sessions_per_reader",
            "sessions per reader",
            "mean",
            "sessions (a pause of 30 minutes ends one), on the whole site",
            "sessions",
        ),
        Metric(
            "diversity",
            "variety of sections in a list",
            "ratio",
            "different sections of a list / its articles",
        ),
        Metric(
            "fresh_share",
            "share of fresh articles",
            "ratio",
            "articles shown that were under 24 hours old / articles shown with a known date",
        ),
        Metric(
            "latency_ms",
            "time to answer",
            "ratio",
            "milliseconds that lists took / lists",
            "ms",
            higher_is_better=False,
        ),
        Metric(
            "fallback_share",
            "share of fallback lists",
            "ratio",
            "lists that were a fallback / lists",
            higher_is_better=False,
        ),
        Metric(
            "hides_per_reader",
            "articles hidden per reader",
            "mean",
            "articles that a reader hid, on the whole site",
            "hides",
            higher_is_better=False,
        ),
    )
}


def columns_of(names: tuple[str, ...] | list[str], prefixes: tuple[str, ...] = ("",)) -> list[str]:
    """Columns of several metrics in a table of readers.

    Example:
        >>> columns_of(["ctr"], ("", "pre_"))
        ['ctr__num', 'ctr__den', 'pre_ctr__num', 'pre_ctr__den']
    """
    return [
        prefix + column
        for prefix in prefixes
        for name in dict.fromkeys(names)
        for column in METRICS[name].columns
    ]
