"""From a log to the age curves of a bundle, and what a person should know of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.age import AgeCurves, SectionAge
from recsys.catalog import Catalog
from recsys.config import AgeCurveConfig
from recsys.counters import HOUR
from recsys.examination import Examination
from recsys.schemas import SURFACES
from training.fit_age import (
    KNOTS,
    SPREAD_SECTION,
    SPREAD_WHOLE,
    Cells,
    HalfLife,
    fit_curve,
    fit_half_life,
    pooled,
    prior_curve,
    prior_half_life,
)
from training.popularity_half_life import PopularityHalfLives, popularity_half_lives
from training.shown import Shown

Floats = NDArray[np.float64]
_EDGES = np.expm1(np.linspace(0.0, np.log1p(4.0 * 8760.0), 120))
_BURN_IN = 0.05


@dataclass(frozen=True)
class Openings:
    """Distinct openings: (m,) catalogue rows and unix seconds, in any order."""

    rows: NDArray[np.integer]
    ts: Floats


@dataclass(frozen=True)
class AgeFindings:
    """Learned curves, and what was found in words."""

    curves: AgeCurves
    notes: list[str]


def learn_age(
    catalog: Catalog, shown: Shown, examination: Examination, openings: Openings, prior: AgeCurveConfig
) -> AgeFindings:
    """Curves and half-lives of the whole log and of each section.

    Where lists were logged, clicks per examined place at each age; else openings per opening of
    anything while the article had that age.

    Args:
        catalog: of the articles.
        shown: places of served lists, with clicks.
        examination: by position.
        openings: for logs without lists, and for the half-life of popularity.
        prior: what is kept where nothing can be learned.
    """
    if not prior.learned:
        return AgeFindings(AgeCurves(), ["age: the configured curve is used (age_curve.learned = false)"])
    cells, told = (
        cells_of_lists(catalog, shown, examination, openings)
        if len(shown)
        else cells_of_openings(catalog, openings)
    )
    popular = _popularity(catalog, openings)
    notes = _popularity_notes(catalog, popular)
    if cells is None or cells.openings.sum() < prior.min_openings:
        many = 0 if cells is None else int(cells.openings.sum())
        reason = told or f"{many:,} openings at a known age, {prior.min_openings:,} are needed"
        return AgeFindings(AgeCurves(), [f"age: {reason}; the configured curve is kept", *notes])
    curves = _curves(catalog, cells, popular, prior)
    return AgeFindings(curves, [*_age_notes(curves, "lists" if len(shown) else "openings", told), *notes])


def _curves(
    catalog: Catalog, cells: Cells, popular: PopularityHalfLives | None, prior: AgeCurveConfig
) -> AgeCurves:
    usual = prior_half_life(prior)
    whole_curve = fit_curve(cells, prior_curve(prior), SPREAD_WHOLE)
    whole = fit_half_life(cells)
    whole = HalfLife(float(usual * np.exp(np.log(whole.hours / usual) / (1.0 + whole.error**2))), whole.error)
    parts = [cells.of_section(code) for code in range(len(catalog.sections.names))]
    estimates = [fit_half_life(part) for part in parts]
    half_lives = pooled(estimates, whole.hours)
    sections = [
        _section(
            name,
            fit_curve(part, whole_curve, SPREAD_SECTION),
            half_life,
            None if popular is None else popular.sections[code],
            part,
        )
        for code, (name, part, half_life) in enumerate(
            zip(catalog.sections.names, parts, half_lives, strict=True)
        )
    ]
    everything = _section("", whole_curve, whole.hours, None if popular is None else popular.whole, cells)
    return AgeCurves(KNOTS, everything, tuple(sections))


def _section(name: str, logs: Floats, half_life: float, popular: float | None, cells: Cells) -> SectionAge:
    values = tuple(round(float(v), 6) for v in np.exp(logs))
    told = None if popular is None else round(popular, 3)
    return SectionAge(name, values, round(half_life, 3), told, int(cells.openings.sum()))


def cells_of_lists(
    catalog: Catalog, shown: Shown, examination: Examination, openings: Openings
) -> tuple[Cells | None, str]:
    """Examined places and clicks by article and age; None and why where ages are not known."""
    known = ~np.isnan(shown.ages) & (shown.ages >= 0)
    first = np.full(len(catalog), np.inf)
    rows = np.concatenate((shown.rows, openings.rows))
    ages = np.concatenate((shown.ages, (openings.ts - catalog.published[openings.rows]) / HOUR))
    dated = ~np.isnan(ages)
    np.minimum.at(first, rows[dated], ages[dated])
    articles = np.unique(shown.rows)
    # a date that an import set to the first exposure tells nothing of the article's age
    dated = np.isfinite(first[articles]) & (np.abs(first[articles]) > 1.0 / HOUR)
    if dated.mean() < 0.5:
        return None, (
            f"{(~dated).sum():,} of {len(articles):,} listed articles have no publication date of their own, "
            "so nothing can be learned"
        )
    kept = shown.take(known)
    chances = np.empty(len(kept))
    for code in np.unique(kept.surfaces).tolist():
        inside = kept.surfaces == code
        chances[inside] = examination.of(SURFACES[code], kept.positions[inside])
    beside = kept.contexts == catalog.section[kept.rows]
    return _cells(catalog, kept.rows, kept.ages, chances, kept.clicked.astype(np.float64), beside), ""


def cells_of_openings(catalog: Catalog, openings: Openings) -> tuple[Cells | None, str]:
    """Openings and chances by article and age in a log without lists.

    The chances at an age are the openings of all other articles while the article had that age, so that
    nights, weekends and a growing site do not matter.
    """
    rows, ts = openings.rows, openings.ts
    if len(rows) == 0:
        return None, "the log has no openings"
    first = np.full(len(catalog), np.inf)
    np.minimum.at(first, rows, ts)
    seen = np.flatnonzero(np.isfinite(first) & ~np.isnan(catalog.published[: len(catalog)]))
    undated = np.abs(catalog.published[seen] - first[seen]) <= 1.0
    told = ""
    if len(seen) and undated.mean() > 0.5:
        # old articles that the log met when it began, and the opening that set the date, are left out
        told = "an article's first opening is taken as its publication"
        seen = seen[first[seen] > ts.min() + _BURN_IN * (ts.max() - ts.min())]
    inside = np.isin(rows, seen) & (ts > catalog.published[rows] + (1.0 if told else -0.001))
    begin = np.maximum(catalog.published[seen], ts.min())
    times = np.sort(ts)
    at = np.clip(catalog.published[seen][:, None] + _EDGES * HOUR, begin[:, None], times[-1])
    chances = np.diff(np.searchsorted(times, at, side="right"), axis=1).astype(np.float64)
    grid_rows, grid_bins = np.nonzero(chances)
    centres = 0.5 * (_EDGES[:-1] + _EDGES[1:])
    own_rows, own_ages = rows[inside], (ts[inside] - catalog.published[rows[inside]]) / HOUR
    nowhere = np.zeros(len(grid_rows) + len(own_rows), dtype=bool)
    cells = _cells(
        catalog,
        np.concatenate((seen[grid_rows], own_rows)),
        np.concatenate((centres[grid_bins], own_ages)),
        np.concatenate((chances[grid_rows, grid_bins], -np.ones(len(own_rows)))),
        np.concatenate((np.zeros(len(grid_rows)), np.ones(len(own_rows)))),
        nowhere,
    )
    return cells, told


def _cells(
    catalog: Catalog,
    rows: NDArray[np.integer],
    ages: Floats,
    chances: Floats,
    opened: Floats,
    beside: NDArray[np.bool_],
) -> Cells:
    """Summed by article, narrow bins of age, and whether the list stood beside its own section."""
    bins = np.searchsorted(_EDGES, ages, side="right") - 1
    width = 2 * len(_EDGES)
    keys, cell = np.unique(rows.astype(np.int64) * width + 2 * bins + beside, return_inverse=True)
    total, hits = (np.bincount(cell, values).astype(np.float64) for values in (chances, opened))
    mean_age = np.bincount(cell, ages) / np.bincount(cell)
    kept = total > 0
    names, articles = np.unique(keys[kept] // width, return_inverse=True)
    own = (keys[kept] % 2).astype(np.float64)
    return Cells(
        articles.astype(np.intp), mean_age[kept], total[kept], hits[kept], own, catalog.section[names]
    )


def _popularity(catalog: Catalog, openings: Openings) -> PopularityHalfLives | None:
    if len(openings.rows) < 2:
        return None
    sections = catalog.section[openings.rows]
    return popularity_half_lives(openings.rows, openings.ts, sections, len(catalog.sections.names))


def _age_notes(curves: AgeCurves, source: str, told: str) -> list[str]:
    whole = curves.whole
    assert whole is not None
    parts = sorted(curves.sections, key=lambda part: part.half_life_hours)
    named = ", ".join(f"{p.name} {_hours(p.half_life_hours)}" for p in parts[:12] if p.clicks)
    return [
        f"age half-life (appeal after its peak): {_hours(whole.half_life_hours)}, from {whole.clicks:,} "
        f"openings in {source}{'; ' + told if told else ''}" + (f"; by section: {named}" if named else "")
    ]


def _popularity_notes(catalog: Catalog, found: PopularityHalfLives | None) -> list[str]:
    if found is None:
        return []
    names = catalog.sections.names[:12]
    named = ", ".join(f"{n} {_hours(h)}" for n, h in zip(names, found.sections, strict=False))
    return [
        f"popularity half-life (decayed counts that foretell the next opening best): {_hours(found.whole)}, "
        f"from {found.openings:,} openings" + (f"; within sections: {named}" if named else "")
    ]


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24.0:.1f} d"
