"""What an event counts: fully with its list, within a bound of its address without."""

import ipaddress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.config import TrustConfig
from recsys.schemas import Event
from serving.addresses import Addresses, caller_of
from serving.budgets import Tally
from serving.settings import Keys
from serving.telemetry import Telemetry
from serving.trust import Caller, Trust, new_nonce
from tests.builders import NOW, event

AT = NOW.timestamp()
KEYS = Keys("public", "the secret key of a test", "open", "token", ())
OFFICE, HOME = Caller(False, ((1, 1),)), Caller(False, ((2, 1),))
NAMES = [f"a{number}" for number in range(10)]


@pytest.fixture
def judge() -> Trust:
    return Trust(TrustConfig(), 24.0, KEYS, Telemetry())


def counted(judge: Trust, *events: Event, caller: Caller = OFFICE, now: float = AT) -> list[bool]:
    """Whether each counts anything."""
    return [found.trust != 0.0 for found in judge.judge(events, caller, now)]


def weight(judge: Trust, *events: Event) -> float:
    """What they count together."""
    return sum(1.0 if found.trust is None else found.trust for found in judge.judge(events, OFFICE, AT))


def request_of(judge: Trust, reader: str = "r1", minutes_ago: float = 6.0) -> str:
    return judge.signer.request_id(AT - 60 * minutes_ago, ("session_id", reader), NAMES, new_nonce())


def clicked(number: int, reader: str, request_id: str, article_id: str = "a0", **more: Any) -> Event:
    return event(f"c{number}", article_id, reader, "click", request_id=request_id, **more)


def test_every_reader_of_a_served_list_counts_however_many_share_an_address(judge: Trust) -> None:
    events = [clicked(at, f"r{at}", request_of(judge, f"r{at}")) for at in range(400)]
    assert all(counted(judge, *events))


def test_clicks_without_a_list_of_their_reader_share_the_bound_of_their_address(judge: Trust) -> None:
    copied, public = request_of(judge, "somebody"), judge.signer.list_id(b"0" * 12, ["a9"])
    for forged in ("made-up", copied, public, request_of(judge, "r", 60 * 30)):
        fresh = Trust(TrustConfig(), 24.0, KEYS, Telemetry())
        assert sum(counted(fresh, *(clicked(at, f"r{at}", forged) for at in range(500)))) == 10
    # another address and another article have their own
    assert counted(judge, *(clicked(at, f"r{at}", copied) for at in range(11)))[-1] is False
    assert counted(judge, clicked(90, "r90", copied), caller=HOME) == [True]
    assert counted(judge, clicked(91, "r91", copied, "a1")) == [True]


def test_a_public_list_has_a_wider_bound_that_it_shares(judge: Trust) -> None:
    public = judge.signer.list_id(b"0" * 12, NAMES)
    bare = [event(f"v{at}", "a0", f"v{at}") for at in range(20)]
    listed = [event(f"l{at}", "a0", f"l{at}", "click", list_id=public) for at in range(200)]
    assert (sum(counted(judge, *bare)), sum(counted(judge, *listed))) == (10, 20)


def test_more_readers_of_an_address_count_more_and_ever_less(judge: Trust) -> None:
    public = judge.signer.list_id(b"0" * 12, NAMES)
    totals = [weight(judge, event(f"l{at}", "a0", f"l{at}", "click", list_id=public)) for at in range(31)]
    assert totals[:5] == [1.0] * 5
    assert totals == sorted(totals, reverse=True)
    assert (totals[9], totals[29], totals[30]) == (5 / 10, 5 / 30, 0.0)
    assert sum(totals) == pytest.approx(13.6, abs=0.05)
    # a reader keeps what the first event counted
    assert weight(judge, event("again", "a0", "l29")) == 5 / 30


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_workers_share_the_bounds(workers: int) -> None:
    total = 0.0
    for _ in range(workers):
        judge = Trust(TrustConfig(), 24.0, KEYS, Telemetry(), workers)
        public = judge.signer.list_id(b"0" * 12, NAMES)
        total += weight(
            judge, *(event(f"{at}", "a0", f"l{at}", "click", list_id=public) for at in range(100))
        )
    assert total <= 1.25 * 13.6


def test_an_article_that_the_list_did_not_hold_is_not_vouched_for(judge: Trust) -> None:
    named = request_of(judge)
    strangers = [f"x{number}" for number in range(300)]
    found = [judge._by_list(clicked(at, "r1", named, name), AT) for at, name in enumerate(strangers)]
    assert sum(outcome is not None for outcome in found) <= 5


def test_one_request_counts_an_article_once_and_a_repeated_delivery_still_counts(judge: Trust) -> None:
    named = request_of(judge)
    first, again = clicked(1, "r1", named), clicked(2, "r1", named)
    assert counted(judge, first, again, first) == [True, False, True]


def test_an_id_is_worth_nothing_before_and_long_after_its_list(judge: Trust) -> None:
    early, late = request_of(judge, "r1", -30), request_of(judge, "r1", 25 * 60)
    assert [judge._by_list(clicked(at, "r1", name), AT) for at, name in enumerate((early, late))] == [
        None,
        None,
    ]


def test_a_list_that_was_asked_for_before_the_login_is_the_readers(judge: Trust) -> None:
    named = request_of(judge, "session")
    both = clicked(1, "session", named).model_copy(update={"user_id": "u1"})
    assert judge._by_list(both, AT) == "attributed"
    assert judge._by_list(clicked(2, "other", named).model_copy(update={"user_id": "u1"}), AT) is None


def test_ids_of_another_key_are_worth_nothing_and_those_of_another_worker_all(judge: Trust) -> None:
    named = request_of(judge)
    rotated = Keys(None, "another secret key", "open", "token", ())
    for keys, expected in ((KEYS, "attributed"), (rotated, None)):
        other = Trust(TrustConfig(), 24.0, keys, Telemetry())
        assert other._by_list(clicked(1, "r1", named), AT) == expected


def test_what_the_opened_page_tells_of_a_click_is_believed_as_the_click(judge: Trust) -> None:
    fill = [event(f"v{at}", "a0", f"v{at}") for at in range(20)]
    counted(judge, *fill)
    click = clicked(1, "r1", request_of(judge))
    view, read = event("e1", "a0", "r1"), event("e2", "a0", "r1", "read", value=60.0)
    assert counted(judge, view, click, view, read) == [False, True, True, True]
    assert counted(judge, event("old", "a0", "r1", minutes_ago=25 * 60)) == [False]


@pytest.mark.parametrize("kind", ["read", "share", "save", "comment"])
def test_engagement_is_bounded_by_address_and_by_reader(judge: Trust, kind: str) -> None:
    many = [event(f"e{at}", "a0", f"r{at}", kind) for at in range(100)]
    assert sum(counted(judge, *many)) == 10
    named = request_of(judge, "eager")
    eager = [event(f"f{at}", "a0", "eager", kind, request_id=named) for at in range(50)]
    assert sum(counted(judge, *eager)) == 3


def test_impressions_have_their_own_wider_bound(judge: Trust) -> None:
    seen = [event(f"i{at}", "a0", f"i{at}", "impression") for at in range(500)]
    opened = [event(f"v{at}", "a0", f"v{at}") for at in range(500)]
    assert (sum(counted(judge, *seen)), sum(counted(judge, *opened))) == (100, 10)


def test_an_address_has_a_bound_over_all_articles_that_begins_anew_each_hour(judge: Trust) -> None:
    spread = [event(f"v{at}", f"x{at}", f"v{at}") for at in range(3_000)]
    assert sum(counted(judge, *spread)) == 1_000
    assert sum(counted(judge, *(event(f"w{at}", f"y{at}") for at in range(3_000)), now=AT + 3600)) == 1_000


def test_the_same_reader_takes_no_more_room(judge: Trust) -> None:
    assert all(counted(judge, *(event(f"v{at}", "a0", "r1") for at in range(100))))
    assert sum(counted(judge, *(event(f"w{at}", "a0", f"r{at}") for at in range(2, 100)))) == 9


def test_dating_events_back_gains_nothing(judge: Trust) -> None:
    days = [event(f"v{at}", "a0", "r1", minutes_ago=60.0 * 24 * at + 10) for at in range(1, 30)]
    assert not any(counted(judge, *days))


def test_hiding_concerns_the_reader_alone(judge: Trust) -> None:
    assert all(counted(judge, *(event(f"h{at}", "a0", f"h{at}", "hide") for at in range(100))))


def test_the_sites_server_says_itself_what_counts(judge: Trust) -> None:
    server = Caller(True, ())
    given = [event(f"v{at}", "a0", f"v{at}", trust=share) for at, share in enumerate((None, 0.0, 0.5))]
    assert judge.judge(given, server, AT) == given
    assert all(counted(judge, *(event(f"w{at}", "a0", f"w{at}") for at in range(500)), caller=server))


def test_bursts_are_told_once_by_article_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry()
    registry, judge = telemetry.registry, Trust(TrustConfig(), 24.0, KEYS, telemetry)
    busy = [clicked(at, f"r{at}", request_of(judge, f"r{at}"), "a1") for at in range(100)]
    busy += [event(f"b{at}", "a1", f"b{at}") for at in range(900)]
    counted(judge, *busy, *(event(f"v{at}", "a0", f"v{at}") for at in range(5_000)))
    assert registry.get_sample_value("recsys_event_bursts_total") == 1.0
    assert registry.get_sample_value("recsys_event_bursts_present") == 1.0
    told = [record for record in caplog.records if record.message == "event_burst"]
    assert [(found.article_id, found.unattributed, found.attributed) for found in told] == [("a0", 200, 0)]  # type: ignore[attr-defined]
    assert registry.get_sample_value("recsys_event_trust_total", {"outcome": "attributed"}) == 100.0
    assert (
        registry.get_sample_value("recsys_event_trust_total", {"outcome": "beyond"}) == 900 - 10 + 5_000 - 10
    )
    counted(judge, event("later", "a2"), now=AT + 600)
    assert registry.get_sample_value("recsys_event_bursts_present") == 0.0


PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1:4711"], "198.51.100.1"),
        ("::1", ["[2001:db8::1]:80"], "2001:db8::1"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, unknown"], None),
        ("10.0.0.1", [], "10.0.0.1"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_the_callers_address_is_the_last_that_a_proxy_of_the_site_saw(
    peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    found = caller_of(peer, forwarded, PROXIES)
    assert (None if found is None else str(found)) == expected


def test_an_ipv6_caller_is_bound_by_the_64_and_ten_times_wider_by_the_48() -> None:
    addresses, judge = Addresses(()), Trust(TrustConfig(), 24.0, KEYS, Telemetry())

    def sent(address: str, number: int) -> bool:
        networks = addresses.networks(ipaddress.ip_address(address), AT)
        return counted(judge, event(f"e{number}", "a0", f"r{number}"), caller=Caller(False, networks))[0]

    assert sum(sent(f"2001:db8:0:1::{at:x}", at) for at in range(50)) == 10
    assert sum(sent(f"2001:db8:0:{at:x}::1", 100 + at) for at in range(2, 1_000)) == 90


def test_the_hash_of_an_address_changes_daily() -> None:
    addresses, one = Addresses(()), ipaddress.ip_address("203.0.113.7")
    today = addresses.networks(one, AT)
    assert addresses.networks(one, AT + 60) == today
    tomorrow = addresses.networks(one, AT + timedelta(days=1).total_seconds())
    assert tomorrow != today
    assert addresses.networks(one, AT) != today


@given(st.lists(st.integers(0, 30), max_size=200))
def test_a_tally_holds_at_most_twice_its_keys_and_never_counts_too_much(keys: list[int]) -> None:
    tally = Tally(60.0, most=8)
    for at, key in enumerate(keys):
        assert tally.add(key) <= keys[: at + 1].count(key)
        assert tally.of(key) >= 1
        assert len(tally) <= 16
