"""Numbers of an experiment as people read them."""

import json
import math
from typing import Any

from training.experiment.metrics import METRICS

VERDICTS = {
    "ship": "Ship it",
    "dont_ship": "Do not ship",
    "keep_running": "Keep running",
    "broken": "Broken: do not use the result",
}
_MINUS = "\u2212"


def percent(share: float | None, sign: bool = True) -> str:
    """A relative change, to the digit that matters.

    Example:
        >>> percent(0.0272), percent(-0.5), percent(1.234, sign=False), percent(None)
        ('+2.72%', '−50.0%', '123%', '-')
    """
    if share is None:
        return "-"
    scaled = 100.0 * share
    size = abs(scaled)
    if size < 0.005:
        return "0%"
    digits = 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{scaled:{'+' if sign else ''},.{digits}f}%".replace("-", _MINUS)


def span(interval: list[float] | tuple[float, float] | None) -> str:
    """An interval of relative changes.

    Example:
        >>> span([-0.01, 0.025]), span(None)
        ('−1.00% to +2.50%', '-')
    """
    return "-" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def level(name: str, value: float | None) -> str:
    """A metric's value on one side.

    Example:
        >>> level("ctr", 0.0405), level("read_seconds_per_reader", 410.98), level("hides_per_reader", 0.0565)
        ('4.05%', '411 s', '0.0565')
    """
    if value is None:
        return "-"
    metric = METRICS[name]
    if metric.kind == "ratio" and not metric.unit:
        return percent(value, sign=False)
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 4
    unit = f" {metric.unit}" if metric.unit in ("s", "ms") else ""
    return f"{value:,.{digits}f}{unit}".replace("-", _MINUS)


def chance(p_value: float | None) -> str:
    """A p-value.

    Example:
        >>> chance(0.0875), chance(3e-7), chance(None)
        ('0.088', 'under 0.001', '-')
    """
    if p_value is None:
        return "-"
    return "under 0.001" if p_value < 0.001 else f"{p_value:.2f}" if p_value >= 0.1 else f"{p_value:.3f}"


def as_json(values: Any) -> str:
    """The text of a JSON file: what is no number is null."""
    return json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _finite(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def change(result: dict[str, Any]) -> str:
    """Which way a result points, by the interval that may be read at the planned end.

    Returns:
        ``better``, ``worse``, ``open`` where the interval holds zero, ``none`` without one.
    """
    interval = result["relative_ci"] or result["ci"]
    if interval is None:
        return "none"
    low, high = interval
    if low <= 0.0 <= high:
        return "open"
    return "better" if (low > 0.0) == METRICS[result["name"]].higher_is_better else "worse"
