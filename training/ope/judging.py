"""From a log to a report on a policy that was not served, or to the reasons why there is none."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from recsys.bundle import Registry, read_manifest
from recsys.config import Config, build_config
from recsys.config.loading import over, read_values
from recsys.errors import DataError
from recsys.store import Store
from training.ope.clicks import crossed
from training.ope.estimators import Estimate, default_cap, difference, estimate, relative, served
from training.ope.gathering import Gathered
from training.ope.lists import LoggedLists
from training.ope.log import REWARD_MINUTES, Log, read_log
from training.ope.policies import Policies, logged_chances
from training.ope.support import Choice, Support, choose, support_of
from training.replaying import Leaning, Replayer

# of the lists, that must come again with their chances, so that what is told of them holds for all
_MADE_AGAIN = 0.9


@dataclass(frozen=True)
class Asked:
    """What is to be judged.

    Attributes:
        policy: TOML; its keys stand over the configuration that served.
        served: configuration that the service was started with, None for the bundle's own.
        version: bundle of the policy, None for the one of each list.
        since, until: of the lists.
        surfaces: judged; empty for all that are left to chance.
        estimator: None for the rule.
        cap: of the weights, None for the rule.
        most: answers that are replayed, about.
    """

    policy: Path
    served: Config | None = None
    version: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    surfaces: tuple[str, ...] = ()
    estimator: str | None = None
    cap: float | None = None
    most: int = 20_000


def policy_config(base: Config, path: Path) -> Config:
    """The configuration that is judged: a policy's keys over what served.

    Lists are drawn to learn from, not to serve: what is judged draws none, unless its own keys say so.
    """
    values = read_values(path)
    plain = over(base.model_dump(), {"randomisation": {"share": 0.0}})
    return build_config(over(plain, values), str(path))


def judge(
    asked: Asked,
    registry: Registry,
    store: Store,
    leaned: Leaning,
    step: Callable[[int, int | None], None],
) -> dict[str, Any]:
    """The report, as JSON values.

    Args:
        asked: what is to be judged.
        registry: holds the bundles.
        store: of the service.
        leaned: see ``Replayer``.
        step: is told how many answers of how many are done.

    Raises:
        DataError: the log has nothing to judge by.
    """
    log = read_log(store, asked.since, asked.until, asked.most)
    surfaces = _surfaces(log, asked)
    version = asked.version or str(log.answers[-1].first.model_version)
    manifest = read_manifest(registry.path(version))
    base = asked.served or build_config(manifest["config"], version)
    config = policy_config(base, asked.policy)
    until = manifest["watermark"] if asked.version is not None else None
    policies = Policies(
        Replayer(registry, store, asked.served, leaned),
        Replayer(registry, store, config, lambda *_: False),
        asked.version,
        float("-inf") if until is None else float(until),
    )
    gathered = {surface: Gathered() for surface in surfaces}
    steps = log.steps()
    for done, (answer, ranked) in enumerate(steps, 1):
        if ranked is not None:
            policies.keep(answer, ranked)
            continue
        for each in policies.compare(answer, {s.surface: log.rewards(s) for s in answer.lists}):
            if each.shown.surface in gathered:
                gathered[each.shown.surface].lists.append(each)
        step(done, len(steps))
    told = {
        "path": str(asked.policy.name),
        "config_hash": config.digest(),
        "model_version": asked.version or "of each list",
        "randomisation_share": config.randomisation.share,
        "exploration_share": config.exploration.share,
    }
    return {
        "policy": told,
        "reward": f"clicks within {REWARD_MINUTES:.0f} minutes, by list",
        "answers": len(log.answers),
        "share_of_readers": round(log.share, 6),
        "left_out": dict(log.left_out + policies.left_out),
        "estimates": [judged(surface, lists, asked) for surface, lists in gathered.items()],
    }


def _surfaces(log: Log, asked: Asked) -> list[str]:
    """The lists that are judged.

    Raises:
        DataError: nothing was left to chance.
    """
    if not log.answers:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in log.left_out.items())
        raise DataError(
            f"the log has no list that can be made again ({reasons or 'it is empty'}); personal lists are "
            "logged by the service itself ([serving] log_exposures_share), see --since and --until"
        )
    random = {
        shown.surface
        for answer in log.answers
        for shown in answer.lists
        if min(logged_chances(shown), default=1.0) < 1.0
    }
    wanted = asked.surfaces or tuple(sorted(random))
    fixed = [surface for surface in wanted if surface not in random]
    if fixed or not wanted:
        raise DataError(
            f"nothing of {', '.join(fixed) or 'any list'} was left to chance in this log: every propensity "
            "is 1, so it tells of no other policy; set [randomisation] share and surfaces, log, and ask again"
        )
    return list(wanted)


def judged(surface: str, gathered: Gathered, asked: Asked) -> dict[str, Any]:
    """What is told of one kind of list; without a value where the log does not support one."""
    codes: dict[str, int] = {}
    every = gathered.arrays(codes, made_again_only=False)
    again = gathered.arrays(codes, made_again_only=True)
    cap = asked.cap or default_cap(len(every))
    share = len(again) / max(len(every), 1)
    found: dict[str, Any] = {
        "surface": surface,
        "lists": len(every),
        "readers": len(np.unique(every.readers)),
        "made_again": round(share, 6),
        "cap": cap,
    }
    supports: dict[str, Support] = {}
    if share >= _MADE_AGAIN and len(again) > 1:
        missing = [np.nanmean([getattr(each, name) for each in gathered.lists]) for name in _MISSING]
        supports = {
            "cascade": support_of(every, "cascade", float(missing[0]), cap),
            "item": support_of(again, "item", float(missing[1]), cap),
            "list": support_of(every, "list", float(missing[0]), cap),
        }
        choice = choose(supports, asked.estimator)
    else:
        reason = (
            f"only {share:.1%} of the lists come again with their logged chances (at least "
            f"{_MADE_AGAIN:.0%}); give the --config that the service had"
        )
        choice = Choice(None, "none", [reason])
    found |= {"estimator": choice.estimator, "rule": choice.rule, "reasons": choice.reasons}
    found["support"] = {kind: support.as_dict() for kind, support in supports.items()}
    lists = again if choice.estimator is not None and choice.estimator.startswith("item") else every
    return {**found, **_values(lists, choice.estimator, len(codes), cap)}


_MISSING = ("unsupported", "unsupported_at")


def _values(lists: LoggedLists, name: str | None, articles: int, cap: float) -> dict[str, Any]:
    keys = ("value", "ci", "served", "served_ci", "effect", "effect_ci", "relative_effect", "relative_ci")
    if name is None:
        return dict.fromkeys(keys)
    before = served(lists)
    value = estimate(lists, name, crossed(lists, articles), cap)
    effect, ratio = difference(value, before, lists.readers), relative(value, before, lists.readers)
    pairs: list[Any] = []
    for each in (value, before, effect, ratio):
        pairs += [None, None] if each is None else [each.value, _interval(each)]
    return dict(zip(keys, pairs, strict=True))


def _interval(found: Estimate) -> list[float]:
    return [found.low, found.high]
