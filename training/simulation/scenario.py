"""What is true in a simulated newsroom: every knob with its default, read from TOML or ``--set``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from recsys.config.loading import read_values, validated
from recsys.config.section import Positive, Section, Share

Floats = NDArray[np.float64]
NonNegative = Annotated[float, Field(ge=0, le=1000)]
_HALF_LIVES = {
    "Sport": 8.0,
    "World": 14.0,
    "Politics": 15.0,
    "Business": 16.0,
    "Technology": 18.0,
    "Cars": 24.0,
    "Culture": 24.0,
    "Health": 24.0,
    "Science": 30.0,
    "Food": 1440.0,
    "Travel": 1440.0,
}


class Scenario(Section):
    """The truth of a simulation; the defaults are calibrated to published news logs.

    Attributes:
        half_life_hours: by section, of the appeal after its peak.
        other_half_life_hours: of a section that is not named.
        peak_hours: age at which an article appeals most.
        start_share: appeal at publication, as a share of the peak's.
        click_rate: of an examined article of average quality at its peak, for average interest.
        quality_sigma: of the log-normal quality of articles, whose mean is 1.
        author_count, author_sigma: authors, and of the log-normal factor of quality that each of them has;
            with 0 authors articles name none.
        prominence_sigma: of the log-normal factor by which the newsroom favours an article.
        liked, disliked: interest in a section that a reader likes, and in another one.
        one_interest, two_interests: shares of readers; the rest are cold ones, who come rarely.
        sessions_per_day: mean of the readers who are not cold.
        heavy_share, heavy_factor: share of readers who come so many times as often.
        examination: chance that a place is looked at, by position.
        position_bias: where given, examination is position to the power of minus this.
        list_length: places of a list.
        confirmed_impressions: whether the client tells what was seen.
        for_you_share: share of visits that begin with a list made for the reader.
        cutoff_hours, cutoff_width: the newsroom's policy prefers articles up to this age.
        old_share: share of the policy that goes to articles of any age, so that old ones are shown as well.
        same_section: factor of the policy for the section that is being read, or that the reader likes.
        quality_pull, priority_pull: exponent of quality, and factor of the editors' priority in log weight.
        backlog_days: articles are published from so long before the first visit.
    """

    half_life_hours: dict[str, Positive] = Field(default_factory=lambda: dict(_HALF_LIVES))
    other_half_life_hours: Positive = 36.0
    peak_hours: Positive = 2.5
    start_share: Share = 0.55
    click_rate: Share = 0.13
    quality_sigma: NonNegative = 0.6
    author_count: Annotated[int, Field(ge=0, le=100_000)] = 0
    author_sigma: NonNegative = 0.5
    prominence_sigma: NonNegative = 1.6
    liked: NonNegative = 2.4
    disliked: NonNegative = 0.35
    one_interest: Share = 0.35
    two_interests: Share = 0.35
    sessions_per_day: Positive = 1.2
    heavy_share: Share = 0.05
    heavy_factor: Positive = 4.0
    examination: tuple[Share, ...] = tuple(round(0.93**k, 4) for k in range(10))
    position_bias: NonNegative | None = None
    list_length: Annotated[int, Field(ge=1, le=100)] = 10
    confirmed_impressions: bool = True
    for_you_share: Share = 0.0
    cutoff_hours: Positive = 17.0
    cutoff_width: Positive = 1.2
    old_share: Annotated[float, Field(ge=0, lt=1)] = 0.14
    same_section: Positive = 4.0
    quality_pull: NonNegative = 0.5
    priority_pull: NonNegative = 0.0
    backlog_days: Annotated[float, Field(ge=0, le=3650)] = 0.0

    @model_validator(mode="after")
    def _is_whole(self) -> "Scenario":
        if self.one_interest + self.two_interests > 1.0:
            raise ValueError("one_interest and two_interests are shares of all readers; together at most 1")
        if self.position_bias is None and len(self.examination) < self.list_length:
            raise ValueError(
                f"examination names {len(self.examination)} positions, list_length is {self.list_length}"
            )
        return self

    def half_life(self, section: str) -> float:
        """Hours after the peak in which the appeal of a section's article halves."""
        return self.half_life_hours.get(section, self.other_half_life_hours)

    def appeal(self, age_hours: Floats, half_life_hours: Floats) -> Floats:
        """Appeal by age relative to its peak, 0 before publication; arrays that broadcast."""
        rise = self.start_share + (1.0 - self.start_share) * np.minimum(age_hours / self.peak_hours, 1.0)
        fall = np.exp2(-np.maximum(age_hours - self.peak_hours, 0.0) / half_life_hours)
        return np.where(age_hours < 0, 0.0, rise * fall)

    def examined(self) -> Floats:
        """(list_length,) chance that each place is looked at."""
        positions = np.arange(1.0, self.list_length + 1.0)
        if self.position_bias is not None:
            return np.asarray(positions**-self.position_bias)
        return np.array(self.examination[: self.list_length])


def load_scenario(path: Path | None = None, overrides: Sequence[str] = ()) -> Scenario:
    """A scenario from TOML and ``key=value`` overrides, over the defaults.

    Raises:
        ConfigError: no such file, no TOML, an unknown key or a bad value.
    """
    return validated(Scenario, read_values(path, overrides), str(path) if path else "--set")
