"""How far an event is believed: by the list that it names, else within a bound of its caller's address.

``docs/trust.md`` has the rules and their reasons. Everything is kept in the worker's memory, as hashes.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import Request

from recsys import trust
from recsys.config import TrustConfig
from recsys.schemas import Event
from serving import guard
from serving.addresses import Addresses, Networks
from serving.budgets import Tally
from serving.bursts import Bursts
from serving.settings import Keys
from serving.telemetry import Telemetry

Outcome = Literal["trusted", "attributed", "listed", "bounded", "repeated", "beyond"]
_HOUR = 3600.0
_CLOCKS_APART = 600.0
_OPENINGS = frozenset(("view", "click"))
_ENGAGEMENTS = frozenset(("read", "share", "save", "comment"))


class Signer:
    """Makes the ids of answers.

    Args:
        secret: the service's secret key; ids that another key made are believed no longer.
    """

    def __init__(self, secret: str) -> None:
        self.key = trust.signing_key(secret)

    def request_id(
        self, now: float, reader: tuple[str, str] | None, article_ids: Sequence[str], nonce: bytes
    ) -> str:
        """Of an answer for one reader, (``user_id`` or ``session_id``, id), or for one without a name."""
        name = None if reader is None else f"{reader[0][0]}:{reader[1]}"
        return trust.sign_request(self.key, now, name, article_ids, nonce)

    def list_id(self, content_digest: bytes, article_ids: Sequence[str]) -> str:
        """Of a public answer: the same for the same content."""
        return trust.sign_list(self.key, content_digest, article_ids)


def new_nonce() -> bytes:
    """What tells one request from others; nobody can guess it."""
    return secrets.token_bytes(trust.NONCE_BYTES)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends events.

    Attributes:
        trusted: whether the events may say themselves how far they are trusted.
        networks: hashes of the networks that the call came from; empty for a trusted one.
    """

    trusted: bool
    networks: Networks


class Trust:
    """Judges events before they are stored.

    Args:
        config: the bounds.
        window_hours: in which a reader counts once per article.
        keys: of the service.
        telemetry: for the metrics.
        workers: processes that share the calls, and so the bounds.
    """

    def __init__(
        self,
        config: TrustConfig,
        window_hours: float,
        keys: Keys,
        telemetry: Telemetry,
        workers: int = 1,
    ) -> None:
        self._config, self._keys, self._workers = config, keys, workers
        self.signer = Signer(keys.secret or "")
        self._addresses = Addresses(keys.proxies)
        self._bursts = Bursts(config, telemetry)
        window = window_hours * _HOUR
        self._readers, self._admitted, self._engaged = Tally(window), Tally(window), Tally(window)
        self._hourly = Tally(_HOUR)
        # an id may be used over the end of a window, so these are only forgotten for newer ones
        self._used = Tally(float("inf"))
        self._outcomes = telemetry.event_trust

    def caller(self, request: Request, now: float) -> Caller:
        """Who calls: with the secret key, or on this machine where no public key is set, is trusted."""
        if guard.has_secret(request, self._keys) or (self._keys.public is None and guard.is_local(request)):
            return Caller(True, ())
        return Caller(False, self._addresses.of(request, now))

    def judge(self, events: Sequence[Event], caller: Caller, now: float) -> list[Event]:
        """The events with their trust, left out where they count fully.

        Args:
            events: of one call.
            caller: from ``caller``.
            now: unix seconds.
        """
        for tally in (self._readers, self._admitted, self._engaged, self._hourly):
            tally.turn(now)
        found = []
        for event in events:
            outcome, share = self._outcome(event, caller, now)
            self._outcomes.labels(outcome).inc()
            if event.type in _OPENINGS:
                vouched = outcome in ("trusted", "attributed")
                self._bursts.opened(event.article_id, vouched, share > 0.0, now)
            found.append(event if share == 1.0 else event.model_copy(update={"trust": share}))
        return found

    def _outcome(self, event: Event, caller: Caller, now: float) -> tuple[Outcome, float]:
        if caller.trusted or event.type == "hide":
            return "trusted", 1.0
        outcome, share = self._by_list(event, now), 1.0
        if outcome is None or outcome == "listed":
            listed = outcome == "listed"
            share = self._room(event, caller.networks, now, listed)
            outcome = "beyond" if share == 0.0 else "listed" if listed else "bounded"
        if event.type in _ENGAGEMENTS and share > 0.0:
            times = self._engaged.add(hash((event.reader, event.article_id, event.type)))
            outcome = outcome if times <= self._config.engagements_per_reader else "repeated"
        return outcome, 0.0 if outcome == "repeated" else share

    def _by_list(self, event: Event, now: float) -> Outcome | None:
        """By the list it names; None where it names none, a forged one, or one without its article."""
        named = event.request_id or event.list_id
        reader = hash((event.reader, event.article_id))
        if named is None:
            # the page that a click opened tells of its view and of the reading, mostly without the list
            return "attributed" if self._used.of(reader) and not self._is_late(event, now) else None
        said = trust.verify(self.signer.key, named, _names(event), event.article_id)
        if said is None or not said.holds:
            return None
        if said.minute is not None and not self._in_time(said.minute, event, now):
            return None
        if not said.reader:
            return "listed"
        if event.type in _ENGAGEMENTS:
            return "attributed"
        use, once = hash((said.serial, event.article_id, event.type)), hash(event.event_id) | 1
        if self._used.of(use) not in (0, once):
            return "repeated"
        self._used.put(use, once)
        if event.type in _OPENINGS:
            self._used.put(reader, 1)
        return "attributed"

    def _is_late(self, event: Event, now: float) -> bool:
        """Whether it is dated so far back that one reader could be sent once for each day before."""
        return now - event.ts.timestamp() > self._config.attribution_hours * _HOUR

    def _in_time(self, minute: float, event: Event, now: float) -> bool:
        lasts, ts = self._config.attribution_hours * _HOUR, event.ts.timestamp()
        return now - minute <= lasts + 60.0 and minute - _CLOCKS_APART <= ts <= now + _CLOCKS_APART

    def _room(self, event: Event, networks: Networks, now: float, listed: bool) -> float:
        """What one more reader of an address counts, counted apart for what was opened and seen; 0 beyond.

        The k-th of an article counts ``full_per_article`` / k: more readers say more, and ever less.
        """
        if self._is_late(event, now):
            return 0.0
        config, seen = self._config, event.type == "impression"
        scale = (config.impressions_factor if seen else 1.0) / self._workers
        most = config.listed_per_article if listed else config.unattributed_per_article
        full = max(config.full_per_article * scale, 1.0)
        pools = [hash((network, event.article_id, seen)) for network, _ in networks]
        hours = [hash((network, seen)) for network, _ in networks]
        admitted = hash((pools[0], event.reader))
        place = self._admitted.of(admitted)
        if place == 0:
            for pool, hour, (_, wider) in zip(pools, hours, networks, strict=True):
                if self._readers.of(pool) >= math.ceil(most * scale * wider):
                    return 0.0
                if self._hourly.of(hour) >= math.ceil(config.per_address_hour * scale * wider):
                    return 0.0
            for hour in hours:
                self._hourly.add(hour)
            places = [
                self._readers.add(pool) / wider for pool, (_, wider) in zip(pools, networks, strict=True)
            ]
            place = self._admitted.put(admitted, max(1, math.ceil(max(places))))
        return min(1.0, full / place)


def _names(event: Event) -> tuple[str, ...]:
    """Under which names the reader may have asked for the list: also as the session before a login."""
    if event.user_id is not None and event.session_id is not None:
        return event.reader, f"s:{event.session_id}"
    return (event.reader,)
