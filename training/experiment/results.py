"""What the statistics of an experiment say, as values that become the report's JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Interval = tuple[float, float]
Role = Literal["primary", "guardrail", "secondary"]
Decision = Literal["ship", "dont_ship", "keep_running", "broken"]


@dataclass(frozen=True)
class MetricResult:
    """One metric of one variant against the control. What cannot be estimated is None, and ``note`` says why.

    Attributes:
        name: of the metric.
        role: what it is for in this experiment.
        control, variant: names of the two sides.
        control_mean, variant_mean: as counted, winsorised where the metric is; of a ratio its two sums
            divided.
        effect: variant minus control; adjusted by what readers did before the experiment where
            ``cuped_reduction`` is set, so that it may differ a little from the difference of the means.
        ci: 95% interval of ``effect``, right when it is read once, at the planned end.
        relative_effect: the effect as a share of the control's (adjusted) mean.
        relative_ci: 95% interval of it.
        p_value: two-sided, of no effect, right at the planned end.
        sequential_ci: 95% interval of the effect on what readers do within the fixed window after their first
            exposure, right at every look. None before the first look that is allowed.
        sequential_relative_ci: the same as a share of the control's mean.
        adjusted_p_value: corrected for the other comparisons of the same role.
        n_control, n_variant: readers.
        cuped_reduction: share of the effect's variance that the adjustment removed.
        note: what a reader of the numbers must know; empty as a rule.
    """

    name: str
    role: Role
    control: str
    variant: str
    n_control: int = 0
    n_variant: int = 0
    control_mean: float | None = None
    variant_mean: float | None = None
    effect: float | None = None
    ci: Interval | None = None
    relative_effect: float | None = None
    relative_ci: Interval | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    sequential_ci: Interval | None = None
    sequential_relative_ci: Interval | None = None
    cuped_reduction: float | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values; intervals as ``[low, high]``."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }


@dataclass(frozen=True)
class SampleRatio:
    """Whether the readers of the sides stand in the planned proportion.

    Attributes:
        p_value: of that proportion; None where there are too few readers to say.
        counts: readers by variant.
        expected: readers by variant as planned.
        failed: the proportion is wrong beyond doubt, and nothing else of the experiment can be trusted.
        note: in words.
    """

    p_value: float | None
    counts: dict[str, int]
    expected: dict[str, float]
    failed: bool
    note: str

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """What to do, and why.

    Attributes:
        verdict: the decision.
        variant: the side to ship, None unless the decision is ``ship``.
        reasons: sentences; the first is the rule that decided.
        rule: name of that rule.
    """

    verdict: Decision
    rule: str
    reasons: list[str] = field(default_factory=list)
    variant: str | None = None
