"""Whether a bundle may replace the one in service; decided in training, recorded in the manifest.

The rule. A candidate is refused when, on lists that its own fit did not see,

- its metric is lower than that of the bundle in service: the whole 95% interval of the difference lies
  below 0 and the loss is larger than ``gate.margin``;
- it does not rank better than decayed popularity and than the content blend: the difference is not
  above 0 (equal scores, where no curves were learned, count as equal to the blend and pass).

The bundle in service is judged on lists after its own watermark. Where there are too few of them, its
settings are fitted once more on what lies before the lists, so that neither side has seen them. Where
nothing can be judged at all, a bundle with the settings of the one in service may replace it (it only
knows more), one with other settings may not; a person may promote it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from recsys.bundle import Bundle, Registry, open_bundle
from recsys.config import Config, build_config
from recsys.errors import BundleError, RecsysError
from recsys.snapshot import read_state
from recsys.state import State
from training.held_back import (
    Compared,
    Measured,
    Scorer,
    Slice,
    blend_scores,
    decayed_scores,
    funnel_scores,
    judge,
    latest,
    measure,
    told_time,
)
from training.learn import Lessons
from training.material import Material
from training.metrics import Table

Say = Callable[[str], None]
Replay = Callable[..., Lessons]
IN_SERVICE = "in_service"
_NEVER = float("-inf")
_BASELINES = {"content_blend": "the content blend", "decayed_counts": "decayed popularity"}
# what changes no ranking
_ASIDE = ("gate", "tune", "site", "train", "sensitivity")


@dataclass
class Verdict:
    """What the gate found.

    Attributes:
        against: version of the bundle in service, None without one.
        facts: window, metrics and differences for the manifest.
        reasons: against replacing the bundle in service.
        not_shown: what could not be compared, and why.
    """

    against: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    not_shown: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """``failed``, ``passed``, or ``not_shown`` where nothing could be judged."""
        if self.reasons:
            return "failed"
        return "passed" if self.facts else "not_shown"

    def told(self) -> str:
        """For a person: the figures and what follows."""
        if not self.facts:
            return f"gate: {self.word}; {'; '.join(self.not_shown)}"
        figures = ", ".join(f"{name} {row['auc']:.4f}" for name, row in self.facts["models"].items())
        return f"gate: {self.word}; AUC on {self.facts['impressions']:,} later lists: {figures}"

    def as_dict(self) -> dict[str, Any]:
        """For the manifest, under ``metrics.gate``."""
        told = {"verdict": self.word, "reasons": self.reasons, "not_shown": self.not_shown}
        return {**told, "against": self.against, **self.facts}


def hold_back(config: Config, material: Material, registry: Registry, replay: Replay, say: Say) -> Verdict:
    """Fit without the latest lists, judge on them, and compare with the bundle in service.

    Args:
        config: of the candidate.
        material: everything the candidate is fitted on.
        registry: holds the bundle in service.
        replay: runs a log through a state and learns from it.
        say: told of each step.
    """
    standing = _Standing.of(registry, say)
    verdict = Verdict(standing.version if standing else None)
    slice_ = _slice(config, material, standing)
    if slice_ is None:
        verdict.not_shown.append(_too_few(material, len(material.lists()), config.gate.min_lists))
        _by_settings_alone(verdict, standing, config)
        return verdict
    say(f"judging these settings on the latest {len(slice_.lists):,} lists, fitted without them")
    trial = _Trial(config, material, slice_, replay)
    scorers: dict[str, Scorer] = {"funnel": funnel_scores, "content_blend": blend_scores}
    scorers["decayed_counts"] = decayed_scores
    tables = judge(trial.fitted(config), slice_.known_until, material, slice_.lists, scorers)
    measured = measure(tables, "funnel", config.train.seed)
    verdict.facts = _facts(slice_, tables, measured)
    for name in _BASELINES:
        _better(verdict, measured.differences[name], name, trial)
    if standing:
        _compare(verdict, standing, trial, tables["funnel"])
    return verdict


def taught(config: Config, material: Material, registry: Registry) -> Material:
    """What settings may be chosen on: everything before the lists that the gate will judge them by."""
    part = _slice(config, material, _Standing.of(registry, lambda _: None))
    return material if part is None else material.before(part.begin)


def _slice(config: Config, material: Material, standing: "_Standing | None") -> Slice | None:
    rules = config.gate
    since = standing.watermark if standing else _NEVER
    return latest(material.lists(), rules.held_back_share, rules.min_lists, rules.max_lists, since)


def may_replace(registry: Registry, verdict: Verdict, say: Say) -> list[str]:
    """Reasons against publishing a judged bundle; none means it may go into service.

    Without a (valid) bundle in service any one is published, and what could not be shown is said.
    """
    for text in verdict.not_shown:
        say(f"could not be shown: {text}")
    current = registry.current()
    if verdict.against is None:
        if current is None:
            say("no bundle is in service yet: published without comparison")
        for reason in verdict.reasons:
            say(f"published although {reason}")
        return []
    if current != verdict.against:
        return [
            f"{current} went into service meanwhile, it was judged against {verdict.against}; train again"
        ]
    return verdict.reasons


@dataclass(frozen=True)
class _Trial:
    """Settings, what they are fitted on, and the lists they are judged on."""

    config: Config
    material: Material
    part: Slice
    replay: Replay

    def fitted(self, config: Config) -> State:
        """A state that knows what lies before the lists."""
        earlier = self.material.before(self.part.begin)
        state = earlier.state(config)
        self.replay(state, earlier.log, earlier.exposures, earlier.clicks)
        return state


@dataclass(frozen=True)
class _Standing:
    """The bundle in service."""

    bundle: Bundle
    config: Config

    @classmethod
    def of(cls, registry: Registry, say: Say) -> "_Standing | None":
        version = registry.current()
        if version is None:
            return None
        try:
            bundle = open_bundle(registry.path(version))
            return cls(bundle, build_config(bundle.manifest["config"], f"{version}/manifest.json"))
        except RecsysError as error:
            say(f"the bundle in service is not valid ({error}): not compared with it")
            return None

    @property
    def version(self) -> str:
        return self.bundle.version

    @property
    def model_id(self) -> str:
        return str(self.bundle.manifest["embedder"]["model_id"])

    @property
    def watermark(self) -> float:
        """Unix seconds after which it has seen nothing."""
        found = self.bundle.manifest["watermark"]
        return _NEVER if found is None else float(found)


def _too_few(material: Material, count: int, fewest: int) -> str:
    if not material.exposures:
        return "the data hold no exposures, so no ranking can be judged against clicks"
    return (
        f"{count:,} related and for_you lists with a click and another article; the gate needs "
        f"{2 * fewest:,}, half of them to fit on (gate.min_lists = {fewest:,})"
    )


def same_settings(one: Config, other: Config) -> bool:
    """Whether two configurations rank alike when fitted on the same data."""
    mine, theirs = one.public_dict(), other.public_dict()
    return all(mine[key] == theirs[key] for key in mine if key not in _ASIDE)


def _by_settings_alone(verdict: Verdict, standing: _Standing | None, config: Config) -> None:
    if standing and not same_settings(standing.config, config):
        verdict.reasons.append(
            f"its settings differ from those of {standing.version}, and nothing shows that it is not "
            f"worse: {verdict.not_shown[-1]}"
        )


def _better(verdict: Verdict, found: dict[str, Compared], name: str, trial: _Trial) -> None:
    """The candidate must stand above a baseline; the content blend itself may be the candidate."""
    metric, count = trial.config.gate.metric, len(trial.part.lists)
    is_the_blend = name == "content_blend" and all(cell.low == cell.high == 0.0 for cell in found.values())
    if found[metric].difference <= 0 and not is_the_blend:
        verdict.reasons.append(
            f"its {metric} is not above that of {_BASELINES[name]} on {count:,} later lists (difference "
            f"{found[metric]})"
        )


def _compare(verdict: Verdict, standing: _Standing, trial: _Trial, ours: Table) -> None:
    """The candidate against the bundle in service, on lists that neither was fitted on."""
    config, part = trial.config, trial.part
    inside = part.after(standing.watermark)
    enough = int(inside.sum()) >= config.gate.min_lists
    if not enough and same_settings(standing.config, config):
        verdict.facts["compared"] = {"how": f"the settings of {standing.version}, on newer data"}
        return
    if standing.model_id != trial.material.model_id:
        verdict.not_shown.append(f"{standing.version} has another embedding model; not compared with it")
        _by_settings_alone(verdict, standing, config)
        return
    if enough:
        how = f"{standing.version}, fitted until {told_time(standing.watermark)}"
        try:
            state = _served(standing, trial.material)
        except BundleError as error:
            # another version of the program wrote it; no service of this version can load it either
            verdict.not_shown.append(f"{standing.version} cannot be compared: {error}")
            return
        known, ours = standing.watermark, ours.take(inside)
    else:
        how = f"the settings of {standing.version}, fitted again without these lists"
        state, known, inside = trial.fitted(standing.config), part.known_until, inside | True
    lists = [exposure for exposure, wanted in zip(part.lists, inside.tolist(), strict=True) if wanted]
    theirs = judge(state, known, trial.material, lists, {IN_SERVICE: funnel_scores})[IN_SERVICE]
    measured = measure({"funnel": ours, IN_SERVICE: theirs}, "funnel", config.train.seed)
    verdict.facts["compared"] = {"how": how, "lists": len(lists), **_difference(measured, IN_SERVICE)}
    verdict.facts["models"][IN_SERVICE] = measured.models[IN_SERVICE]
    compared = measured.differences[IN_SERVICE][config.gate.metric]
    if compared.high < 0 and compared.difference < -config.gate.margin:
        verdict.reasons.append(
            f"its {config.gate.metric} is lower than that of {how}, on {len(lists):,} later lists "
            f"(difference {compared})"
        )


def _served(standing: _Standing, material: Material) -> State:
    """The bundle in service with the articles that came since."""
    state = read_state(standing.bundle)
    for article, vector in zip(material.articles, material.vectors, strict=True):
        row = state.catalog.row(article.article_id)
        if row is None or not state.catalog.is_known(row):
            row = state.catalog.put(article)
            state.index.resize(row + 1)
            state.place(row, article, vector if vector.any() else None)
    state.popularity.resize(len(state.catalog))
    state.index.resize(len(state.catalog))
    return state


def _difference(measured: Measured, name: str) -> dict[str, Any]:
    cells = measured.differences[name]
    return {
        "differences": {metric: cell.difference for metric, cell in cells.items()},
        "ci": {metric: [cell.low, cell.high] for metric, cell in cells.items()},
    }


def _facts(part: Slice, tables: dict[str, Table], measured: Measured) -> dict[str, Any]:
    clusters = tables["funnel"].clusters
    return {
        "judged": part.span(),
        "fitted_before": datetime.fromtimestamp(part.begin, UTC).isoformat(),
        "impressions": len(clusters),
        "readers": len(set(clusters.tolist())),
        "models": measured.models,
        "over": {name: _difference(measured, name) for name in _BASELINES},
    }
