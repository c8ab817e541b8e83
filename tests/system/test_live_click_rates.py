"""A click counts live what training counts of it: what its list's articles were expected to be clicked."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from recsys.bundle import open_bundle
from recsys.config import Config, load_config
from recsys.examination import Examination
from recsys.expected import ExpectedClicks
from recsys.logged import read_lists
from recsys.schemas import Event, Exposure, ExposureItem
from recsys.snapshot import read_state
from recsys.state import State
from recsys.store import open_store
from tests.builders import NOW, article, event, row, world
from tests.conftest import Newsroom
from tests.serving.conftest import made_event
from tests.serving.server import Server, ids
from training.attribution import labels_of
from training.moments import Moments, as_counted
from training.readers import read_event_log, read_events, read_exposures
from training.skew import skew_of


def live(state: State, events: list[Event], lists: list[Exposure]) -> State:
    """Lists and events as a worker meets them, one after the other."""
    rows: list[tuple[datetime, int, Event | Exposure]] = [(shown.ts, 0, shown) for shown in lists]
    rows += [(each.ts, 1, each) for each in events]
    for ts, _, each in sorted(rows, key=lambda found: (found[0], found[1])):
        if isinstance(each, Event):
            state.apply_events([each], ts.timestamp())
        else:
            state.remember_list(each)
    return state


def test_the_newsrooms_log_counts_live_as_in_training(newsroom: Newsroom) -> None:
    events = [each for each in read_events(newsroom.data) if each.type != "impression"]
    lists = list(read_exposures(newsroom.data))
    shapes = {"related": (1.0, 0.6, 0.4, 0.3), "for_you": (1.0, 0.5)}
    bundle = open_bundle(newsroom.models / newsroom.bundle.version)
    trained, online = (State.empty(Config(), 8) for _ in range(2))
    for state in (trained, online):
        object.__setattr__(state.learned, "examination", Examination(shapes))
    log = read_event_log(newsroom.data)
    log = log.take(log.types != 1)
    counted = as_counted(trained, log, lists, labels_of(newsroom.data, Config().clicklog))
    assert len(counted) > len(log) + 1_000
    Moments(trained, counted).until(np.inf)
    online.expected = ExpectedClicks(Config().popularity.impressions_per_click, Examination(shapes))
    live(online, events, lists)
    at = max(each.ts for each in events).timestamp()
    for article_id in read_state(bundle).catalog.ids:
        for name in ("impressions", "clicks", "openings"):
            found = []
            for state in (trained, online):
                own = state.catalog.row(article_id)
                rows = np.array([] if own is None else [own], np.int32)
                found.append(getattr(state.popularity, name).read(at, 0, rows).sum())
            assert found[1] == pytest.approx(found[0], rel=1e-9, abs=1e-12), (name, article_id)


def shown(name: str, items: str, surface: str = "related") -> Exposure:
    return Exposure(
        request_id=name, surface=surface, ts=NOW - timedelta(minutes=10), session_id="r",  # type: ignore[arg-type]
        items=[ExposureItem(article_id=one, position=at) for at, one in enumerate(items, 1)],
    )  # fmt: skip


def expecting(*lists: Exposure, most: int = 100) -> State:
    state = world([article(name) for name in "abcdefgh"])
    state.expected = ExpectedClicks(20.0, Examination(), most)
    for each in lists:
        state.remember_list(each)
    return state


def seen(state: State, name: str) -> float:
    counts = state.popularity.impressions
    return float(counts.read(NOW.timestamp() - 300.0, 0, np.array([row(state, name)], np.int32))[0])


def click(article_id: str, number: int = 0, **more: object) -> Event:
    return event(f"c{article_id}{number}", article_id, "r", "click", request_id="q", **more)


def test_a_list_is_found_by_request_and_surface_and_counts_each_article_once() -> None:
    state = expecting(shown("q", "abcd"), shown("q", "efgh", "popular"))
    state.apply_events([click("a"), click("a", 1), click("e", surface="related")], NOW.timestamp())
    assert [seen(state, name) for name in "abcdefgh"] == pytest.approx([5.0] * 4 + [0.0] * 4)


def test_doubted_clicks_expect_nothing_and_forgotten_lists_neither() -> None:
    state = expecting(shown("q", "abcd"))
    state.apply_events([click("a", trust=0.0)], NOW.timestamp())
    assert seen(state, "b") == 0.0
    state = expecting(shown("q", "abcd"), *(shown(f"x{at}", "ab") for at in range(100)))
    state.apply_events([click("a")], NOW.timestamp())
    assert seen(state, "b") == 0.0


def test_nothing_is_added_where_the_site_tells_impressions_itself() -> None:
    state = expecting(shown("q", "abcd"))
    told = event("i", "b", "r", "impression")
    state.apply_events([told, click("a")], NOW.timestamp())
    assert [seen(state, name) for name in "abcd"] == pytest.approx([0.0, 1.0, 0.0, 0.0])


def test_clicks_are_expected_live_after_a_restart_and_when_computed_again(
    newsroom: Newsroom, own_models: Path, tmp_path: Path
) -> None:
    """The features that lists were ranked by show it: they are those that the log gives with its lists."""
    manifest = own_models / newsroom.bundle.version / "manifest.json"
    told = {**json.loads(manifest.read_text()), "impressions_logged": False}
    manifest.write_text(json.dumps(told))
    config = tmp_path / "all.toml"
    config.write_text(
        "[serving]\nlog_features_share = 1.0\n[ranker]\nfeatures = ['ctr_24h', 'section_ctr']\n"
    )
    service = Server(own_models, tmp_path / "s.db", newsroom.now, "--config", str(config))

    def read_and_click(reader: str) -> None:
        page = service.get(
            "/v1/page", lists="related", article_id="world-arms-deal", session_id=reader
        ).json()
        name = ids(page["lists"]["related"]["items"])[2]
        more = {"request_id": page["request_id"], "surface": "related"}
        ts = (newsroom.now - timedelta(minutes=1)).isoformat()
        service.send({**made_event(newsroom, name, reader, "click", **more), "ts": ts})

    try:
        for at in range(10):
            read_and_click(f"before-{at}")
        time.sleep(1.5)
        service.kill()
        service.start()
        for at in range(10):
            read_and_click(f"after-{at}")
        service.get("/v1/articles/world-arms-deal/related", session_id="last")
    finally:
        service.stop()
    store = open_store(f"sqlite:///{tmp_path / 's.db'}", create=False)
    logged = list(read_lists(tmp_path / "s.db.features"))
    assert len(logged) > 20
    bundle = open_bundle(manifest.parent)
    worst = skew_of(logged, bundle, store, load_config(config)).worst
    assert {name: value for name, value in worst.items() if not value <= 1e-6} == {}
    bundle.manifest["impressions_logged"] = True
    assert skew_of(logged, bundle, store, load_config(config)).worst["ctr_24h"] > 1e-3
    store.close()
