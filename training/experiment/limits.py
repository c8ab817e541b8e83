"""What a report cannot tell, said in the report."""

from collections.abc import Iterator

from training.experiment.outcomes import Outcomes

_UNIT = {
    "user": "A signed-in user is one reader. What they do signed out, on any device, is not theirs here.",
    "session": "A browser is one reader. Somebody with a phone and a laptop may have seen both sides, which "
    "makes an effect look smaller than it is; who clears their cookies comes again as a new reader.",
}


def limits(outcomes: Outcomes) -> Iterator[str]:
    """Sentences for people, the general ones first."""
    experiment, frame = outcomes.experiment, outcomes.frame
    yield (
        f"It tells of {frame.days:.0f} days and their news. Readers who get used to a list, or tired of it, "
        "later than that are not in it, nor is any effect on subscriptions or trust."
    )
    yield _UNIT[experiment.unit]
    yield (
        "Both sides learn from the clicks of both: what is popular, what is read together and the model "
        "itself are shared. A list that lives from its own clicks may do better or worse once it is alone."
    )
    yield (
        "It counts readers to whom a list was served that their side could have changed, and what their "
        "browsers reported. Readers who block scripts, and lists from a cache that is the same for all, "
        "are not in it."
    )
    yield (
        "Not shown is not shown absent: an interval that holds zero also holds every other effect inside it. "
        "The smallest effect worth finding was set beforehand; see how wide the interval is beside it."
    )
    yield (
        "Slices and secondary metrics are many; some differ by chance alone. They are there to ask the next "
        "question, not to answer this one."
    )
    if experiment.assignment == "external":
        yield (
            "Sides were given by the caller. Whether by chance cannot be seen here; the proportion of "
            "readers is the only thing about it that was tested."
        )
    yield (
        "That a side harms a guardrail by less than its margin is tolerated by choice, and several such "
        "choices in a row add up."
    )
