"""What an evaluation found, in sentences that an editor understands."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.ablation import LEARNED
from training.slices import JUDGED_FROM

_NAMES = {
    "cosine_mean": "the mean similarity of texts",
    "cosine_nearest": "the similarity to the five nearest texts",
    "decayed_counts": "what is read most now",
    "frozen_counts": "what was read most before",
    "newest": "the newest first",
    "section_affinity": "sections that are read together",
    "item_knn": "articles that are read together",
    "tfidf": "shared words",
    "session_knn": "similar visits",
    "implicit_item_item": "the item-item model",
    "content_blend": "the content blend",
}


def plain(model: str) -> str:
    """A model's name for people.

    Example:
        >>> plain("newest")
        'the newest first (newest)'
    """
    return f"{_NAMES[model]} ({model})" if model in _NAMES else model


def verdict(values: Mapping[str, Any]) -> list[str]:
    """Sentences from the values of a report: better or not, by how much, how certain, where not."""
    if not values["rankings"]:
        return [
            "No served list holds both a click and an article that was not clicked, so it cannot be said "
            "whether the bundle orders lists better than a single signal."
        ]
    sentences = [_overall(values), _against_single(values), _first_places(values)]
    sentences += [
        _of_learning(values),
        _parts(values["ablation"]),
        *_slices(values["slices"]),
        _limits(values),
    ]
    return [sentence for sentence in sentences if sentence]


def _overall(values: Mapping[str, Any]) -> str:
    row, against = values["rankings"]["funnel"], values["against_best_single"]
    single = values["rankings"][against["signal"]]
    low, high = row["ci"]["auc"]
    return (
        f"Of a clicked and an unclicked article of the same list, the bundle puts the clicked one first in "
        f"{_percent(row['auc'])} of all pairs (between {_percent(low)} and {_percent(high)} with 95% "
        f"certainty). Chance gives 50%; the best single signal, {plain(against['signal'])}, "
        f"{_percent(single['auc'])}."
    )


def _against_single(values: Mapping[str, Any]) -> str:
    against = values["against_best_single"]
    name = plain(against["signal"])
    (low, high), change = against["auc_difference_ci"], against["auc_difference"]
    span = f"{_points(change)} points (between {_points(low)} and {_points(high)} with 95% certainty)"
    if low > 0:
        ratio, bounds = against["skill_ratio"], against["skill_ratio_ci"]
        told = f"The bundle is better than {name}: {span}."
        if ratio is not None and None not in bounds:
            told += (
                f" Its lead over chance is {ratio:.2f} times as large (between {bounds[0]:.2f} and "
                f"{bounds[1]:.2f})."
            )
        return told
    if high < 0:
        return f"The bundle is worse than {name}: {span}. Serve the single signal instead."
    return (
        f"It is not shown that the bundle is better than {name}: the difference is {span}, and zero lies "
        "within. More judged lists would narrow it."
    )


def _first_places(values: Mapping[str, Any]) -> str:
    against = values["against_best_single"]
    ratio, (low, high) = against["ndcg@10_ratio"], against["ndcg@10_ratio_ci"]
    if ratio is None or low is None or high is None:
        return ""
    certain = "this is certain" if low > 1 or high < 1 else "chance is not excluded"
    return (
        f"In the first ten places (nDCG@10) it reaches {ratio:.2f} times the quality of that signal "
        f"(between {low:.2f} and {high:.2f}; {certain})."
    )


def _of_learning(values: Mapping[str, Any]) -> str:
    found = values.get("against_content_blend")
    if not values["curves"]:
        return "No ranker was learned from clicks; what is judged is the content blend."
    if found is None:
        return ""
    low, high = found["auc_difference_ci"]
    effect = "help" if low > 0 else "harm" if high < 0 else "are not shown to help"
    return (
        f"The curves learned from clicks {effect}: {_points(found['auc_difference'])} points over the "
        f"content blend (between {_points(low)} and {_points(high)})."
    )


def _parts(rows: Sequence[Mapping[str, Any]]) -> str:
    """The groups of signals that are missed when they are left out, and those that are not."""
    groups = [row for row in rows if row["kind"] == "dropped" and row["of"] == "group"]
    groups = [row for row in groups if row["part"] != LEARNED]
    told = ""
    for says, found in (
        ("Left out, these would be missed", [row for row in groups if row["auc_ci"][1] < 0]),
        ("Without these the order would be better", [row for row in groups if row["auc_ci"][0] > 0]),
    ):
        if found:
            parts = ", ".join(f"{row['part']} ({_points(row['auc_change'])} points)" for row in found)
            told += f"{says}: {parts}. "
    return told.strip()


def _slices(slices: Mapping[str, Any]) -> list[str]:
    judged = {name: part for name, part in slices.items() if part["judged"]}
    small = len(slices) - len(judged)
    worse = [name for name, part in judged.items() if part["auc_against_best_single_ci"][1] < 0]
    better = [name for name, part in judged.items() if part["auc_against_best_single_ci"][0] > 0]
    open_ = len(judged) - len(worse) - len(better)
    told = []
    if worse:
        told.append(f"It is worse than that signal in {_count(len(worse), 'slice')}: {'; '.join(worse)}.")
    elif judged:
        told.append("It is worse than that signal in no slice of the lists that is large enough to judge.")
    if better:
        told.append(f"It is clearly better in: {'; '.join(better)}.")
    if open_:
        told.append(f"In {_count(open_, 'more slice')} the difference may be chance.")
    if small:
        told.append(f"{_count(small, 'slice')} of fewer than {JUDGED_FROM} lists: shown, not judged.")
    return told


def _limits(values: Mapping[str, Any]) -> str:
    judged = values["judged"]
    told = f"All this rests on {judged['impressions']:,} lists of {judged['readers']:,} readers"
    if judged["early"]:
        told += (
            f"; {judged['early']:,} lists lie before the end of what was learned from and were judged "
            "without counters"
        )
    return (
        f"{told}. It says which of the shown articles are chosen, not what readers would do with other lists."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f}%"


def _points(change: float) -> str:
    return f"{100.0 * change:+.1f}"
