"""What each side was shown: lists, articles, how many different ones, what was seen and clicked."""

from typing import Any

from training.duck import Duck, Expr
from training.experiment.outcomes import Outcomes


def delivered(duck: Duck, outcomes: Outcomes) -> list[dict[str, Any]]:
    """A row for each side: readers, lists, articles_shown, articles_seen, clicks, different_articles.

    ``articles_seen`` is None where nobody logs impressions. ``share_of_different`` is the side's part of all
    articles that any side was shown (coverage). It has no interval: a side with more readers is shown more.
    """
    run = outcomes.facts.lists.filter(~outcomes.facts.lists.pre)
    each = run.select("code", article=run.articles.unnest())
    shown = duck.keep("shown", each.group_by("code", "article").agg(places=each.count()))
    whole = duck.number(shown.article.nunique())
    lists = _by_code(duck, run.group_by("code").agg(n=run.count()))
    readers = _by_code(duck, outcomes.people.rows.group_by("code").agg(n=outcomes.people.rows.count()))
    different = _by_code(duck, shown.group_by("code").agg(n=shown.count()))
    places = _by_code(duck, shown.group_by("code").agg(n=shown.places.sum()))
    seen, clicks = (_measured(duck, outcomes, name) for name in ("seen", "clicks"))
    return [
        {
            "variant": variant.name,
            "readers": readers.get(code, 0),
            "lists": lists.get(code, 0),
            "articles_shown": places.get(code, 0),
            "articles_seen": seen.get(code, 0) if outcomes.facts.impressions else None,
            "clicks": clicks.get(code, 0),
            "different_articles": different.get(code, 0),
            "share_of_different": different.get(code, 0) / whole if whole else None,
        }
        for code, variant in enumerate(outcomes.experiment.variants)
    ]


def _measured(duck: Duck, outcomes: Outcomes, name: str) -> dict[int, int]:
    rows = outcomes.facts.measure(name)
    met = rows.filter(~rows.pre).inner_join(outcomes.people.rows.select("unit", "code"), "unit")
    return _by_code(duck, met.group_by("code").agg(n=met["value"].sum()))


def _by_code(duck: Duck, rows: Expr) -> dict[int, int]:
    return {row["code"]: int(row["n"] or 0) for row in duck.arrow(rows).to_pylist()}
