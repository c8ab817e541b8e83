"""The served lists of a store that a policy can be judged by, and what readers clicked in them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recsys.exposed import Exposed, Known, Ranked
from recsys.profile import reader_key
from recsys.store import Store

REWARD_MINUTES = 30.0
# a click names its list, so it came after it; a browser's clock may be behind
_CLOCK_SECONDS = 60.0
_WHOLE = 2**64


@dataclass(frozen=True)
class Answer:
    """The lists of one request.

    Attributes:
        lists: as logged.
    """

    lists: tuple[Exposed, ...]

    @property
    def first(self) -> Exposed:
        """A list that stands for the request."""
        return self.lists[0]


@dataclass
class Log:
    """What can be judged by.

    Attributes:
        answers: in the order of what was known when they were made.
        clicks: by request id: article, surface or None, unix seconds.
        left_out: answers that cannot be made again, by reason.
        share: of the readers that were taken.
    """

    answers: list[Answer]
    clicks: Mapping[str, list[tuple[str, str | None, float]]]
    left_out: Counter[str] = field(default_factory=Counter)
    share: float = 1.0

    def steps(self) -> list[tuple[Answer, Ranked | None]]:
        """Answers, each after the rankings that were kept for it from earlier moments, in the log's order."""
        found: list[tuple[tuple[int, int, float], Answer, Ranked | None]] = []
        for answer in self.answers:
            found.append((_known(answer), answer, None))
            for ranked in {each.ranked for each in answer.lists if each.ranked is not None}:
                known = (ranked.event_seq, _known(answer)[1], ranked.at)
                found.append((known, answer, ranked))
        # what was kept comes before the answer that it is for
        found.sort(key=lambda step: (step[0], step[2] is None))
        return [(answer, ranked) for _, answer, ranked in found]

    def rewards(self, shown: Exposed) -> list[float]:
        """Of each place of a list: 1 where it was clicked in time, else 0."""
        last = shown.ts + REWARD_MINUTES * 60.0
        clicked = {
            article_id
            for article_id, surface, ts in self.clicks.get(shown.request_id, ())
            if surface in (None, shown.surface) and shown.ts - _CLOCK_SECONDS <= ts <= last
        }
        return [float(article_id in clicked) for article_id in shown.article_ids]


def read_log(store: Store, since: datetime | None, until: datetime | None, most: int) -> Log:
    """Served lists with what they rest on, of all readers or of so many that ``most`` answers are kept.

    Readers are taken as a whole, by a hash of who they are: who clicks more is not taken more often.

    Args:
        store: of the service.
        since, until: of the lists, None for all.
        most: answers that are kept, about.
    """
    count = sum(1 for _ in _answers(store, since, until))
    share = min(1.0, most / max(count, 1))
    log = Log([], {}, share=share)
    for answer in _answers(store, since, until):
        kind, name = answer.first.reader
        if reader_key(f"{kind[0]}:{name}") >= share * _WHOLE:
            continue
        reason = _unusable(answer.first)
        if reason is None:
            log.answers.append(answer)
        else:
            log.left_out[reason] += 1
    log.answers.sort(key=_known)
    log.clicks = _clicks(store, {answer.first.request_id for answer in log.answers}, since, until)
    return log


def _answers(store: Store, since: datetime | None, until: datetime | None) -> Iterator[Answer]:
    """The lists of a request are written together."""
    low = float("-inf") if since is None else since.timestamp()
    high = float("inf") if until is None else until.timestamp()
    cursor, held = None, list[Exposed]()
    while True:
        page, following = store.exposures_after(cursor)
        for shown in page:
            if held and held[0].request_id != shown.request_id:
                yield Answer(tuple(held))
                held = []
            if low <= shown.ts < high:
                held.append(shown)
        if not page:
            break
        cursor = following
    if held:
        yield Answer(tuple(held))


def _known(answer: Answer) -> tuple[int, int, float]:
    known = answer.first.known or Known(0, 0, 0)
    return known.event_seq, known.article_seq, answer.first.ts


def _unusable(shown: Exposed) -> str | None:
    if shown.known is None or shown.asked is None or shown.model_version is None:
        return "came by import or from an older service"
    if shown.asked.get("own_history"):
        return "the browser sent its own history, which is never stored"
    return None


def _clicks(
    store: Store, requests: set[str], since: datetime | None, until: datetime | None
) -> dict[str, list[tuple[str, str | None, float]]]:
    late = None if until is None else until + timedelta(minutes=REWARD_MINUTES)
    found: dict[str, list[tuple[str, str | None, float]]] = {}
    for event in store.iter_events(since, late):
        believed = event.trust is None or event.trust > 0.0
        if event.type == "click" and believed and event.request_id in requests:
            told = (event.article_id, event.surface, event.ts.timestamp())
            found.setdefault(str(event.request_id), []).append(told)
    return found
