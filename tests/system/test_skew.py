"""What serving ranked by is what training computes from the same events: no train/serve skew."""

from datetime import timedelta
from pathlib import Path

import pytest

from recsys.bundle import open_bundle
from recsys.config import load_config
from recsys.features import FEATURE_NAMES
from recsys.logged import LoggedList, read_lists
from recsys.segments import Segments
from recsys.store import open_store
from tests.conftest import Newsroom, copy_models
from tests.serving.server import Server, ids
from training.skew import skew_of

EVERYTHING = f"""
[serving]
log_features_share = 1.0
[exploration]
share = 0.5
[ranker]
features = {list(FEATURE_NAMES)}
"""


def events_of(newsroom: Newsroom, reader: str, articles: list[str], minute: int) -> list[dict[str, object]]:
    """A reader sees, clicks and reads articles, an hour before the service's clock."""
    ts = newsroom.now - timedelta(minutes=60 - minute)
    kinds = ("impression", "click", "view", "read", "share")
    return [
        {
            "event_id": f"{reader}-{name}-{kind}",
            "type": kind,
            "ts": (ts + timedelta(seconds=20 * place)).isoformat(),
            "article_id": name,
            "session_id": reader,
            **({"value": 95.0} if kind == "read" else {}),
        }
        for place, name in enumerate(articles)
        for kind in kinds[: 2 + place % 4]
    ]


@pytest.fixture(scope="module")
def served(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a real service wrote to: events and lists in turns, then a clean end."""
    folder = tmp_path_factory.mktemp("skew")
    (folder / "all.toml").write_text(EVERYTHING)
    models = copy_models(newsroom.models, folder / "models")
    server = Server(models, folder / "s.db", newsroom.now, "--config", str(folder / "all.toml"))
    try:
        for turn in range(6):
            reader = f"reader-{turn % 2}"
            page = server.get("/v1/page", session_id=reader, limit=8).json()
            read = [item for slate in page["lists"].values() for item in ids(slate["items"])][turn::5]
            server.send(*events_of(newsroom, reader, read, minute=5 * turn))
            if turn == 3:
                new = {"title": "A new article that nobody has read so far", "section": "Politics"}
                assert server.secret("PUT", "/v1/articles/brand-new", json=new).status_code in (200, 201)
            related = server.get(f"/v1/articles/{read[0]}/related", session_id=reader)
            mine = server.get("/v1/page", lists="for_you,related", article_id=read[0], session_id=reader)
            assert related.json()["request_id"] != mine.json()["request_id"]
        hidden = {"article_id": read[0], "session_id": "private", "history": read}
        assert server.http.post("/v1/page", json=hidden).status_code == 200
    finally:
        server.stop()
    return folder


def test_training_computes_the_features_that_serving_ranked_by(newsroom: Newsroom, served: Path) -> None:
    logged = list(read_lists(served / "s.db.features"))
    store = open_store(f"sqlite:///{served / 's.db'}", create=False)
    lists = list(store.iter_exposures())
    config = load_config(served / "all.toml")
    skew = skew_of(logged, open_bundle(served / "models" / newsroom.bundle.version), store, config)
    assert (skew.lists, skew.unknown) == (len(logged), 0)
    assert skew.worst.keys() == set(FEATURE_NAMES)
    assert {name: value for name, value in skew.worst.items() if not value <= 1e-6} == {}
    # every list that was ranked is there, with all that it shows among its candidates
    by_key = {(each.request_id, each.surface): each for each in logged}
    for exposure in lists:
        if exposure.surface == "latest" or exposure.session_id == "private":
            continue
        used = "must_reads" if exposure.fallback == "cold_reader" else exposure.surface
        each = by_key[exposure.request_id, used]
        ranked = {item.article_id for item in exposure.items if item.source != "explore"}
        assert ranked <= set(each.article_ids)


def test_the_comparison_sees_an_event_that_one_side_does_not_know(newsroom: Newsroom, served: Path) -> None:
    store = open_store(f"sqlite:///{served / 's.db'}", create=False)
    config, bundle = (
        load_config(served / "all.toml"),
        open_bundle(served / "models" / newsroom.bundle.version),
    )
    logged = list(read_lists(served / "s.db.features"))
    behind = [
        LoggedList(
            **{**{name: getattr(each, name) for name in each.__slots__}, "event_seq": each.event_seq - 5}
        )
        for each in logged
        if each.event_seq > 0
    ]
    worst = skew_of(behind, bundle, store, config).worst
    assert worst["openings_1h"] > 1e-3 < worst["ctr_24h"]


def test_what_a_browser_keeps_leaves_no_trace_in_the_log(served: Path) -> None:
    store = open_store(f"sqlite:///{served / 's.db'}", create=False)
    private = {e.request_id for e in store.iter_exposures() if e.session_id == "private"}
    assert private
    assert not private & {each.request_id for each in read_lists(served / "s.db.features")}
    written = b"".join(Segments(served / "s.db.features", "reader").lines())
    assert b"reader-" not in written
