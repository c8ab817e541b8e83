"""The page that this engine was made for, through the real import, training and funnel."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recsys.config import Config
from recsys.pipeline import Funnel, Query, Slate
from recsys.snapshot import read_articles, read_state
from recsys.state import State
from training.fit import train
from training.table import import_table

NOW = datetime(2026, 2, 10, 9, tzinfo=UTC)
LISTS = ["latest", "related", "popular", "must_reads"]
CONTEXT = "deal"
# id | hours old | readers | priority | section | title, and the abstract on a line of its own
CATALOGUE = """
deal | 3 | 5 | 0.6 | Politics | Two states sign a weapons deal worth four billion
    The defence ministers agreed on the export of rocket launchers and tanks. Parliament votes in May.
d1 | 0.5 | 2 | 0.3 | Defence | Army takes delivery of the first new howitzers
    The artillery guns replace models from the eighties. Crews train with them until autumn.
d2 | 0.7 | 2 | 0.3 | Defence | Navy orders three frigates from northern shipyard
    The warships carry air-defence missiles. The contract runs for nine years.
d3 | 0.9 | 2 | 0.3 | Defence | Air force wants more drones after border flights
    Unmanned aircraft shall watch the frontier. The generals ask for a larger defence budget.
d4 | 1.1 | 2 | 0.3 | Defence | Alliance agrees on common stock of artillery shells
    Twelve member states buy ammunition together. Arms makers expand their plants.
d5 | 1.3 | 2 | 0.3 | Defence | Missile maker doubles its output of rockets
    The arms company hires two thousand people. Governments have ordered weapons for years ahead.
p1 | 6 | 9 | 0.7 | Politics | Parliament quarrels over arms exports
    The opposition demands a ban on weapons sales into war zones. The government speaks of jobs and alliances.
p2 | 8 | 8 | 0.8 | Politics | Foreign minister defends military aid in debate
    Neighbouring states had asked for weapons. Critics fear an arms race.
p3 | 10 | 7 | 0.5 | Politics | Coalition settles its quarrel over the defence budget
    Spending on the armed forces rises by a tenth. Other ministries have to save.
p4 | 12 | 6 | 0.9 | Politics | Prime minister calls early election for June
    The coalition had lost its majority in parliament. Polls see the opposition ahead.
c1 | 5 | 14 | 0.4 | Cars | Small electric car under twenty thousand in the test
    The hatchback drives 300 kilometres on one charge. The boot is tiny.
c2 | 9 | 12 | 0.5 | Cars | Why the estate car is coming back
    Families grow tired of tall vehicles. Three makers plan new models.
c3 | 15 | 11 | 0.3 | Cars | Winter tyres: what the law asks of drivers
    Fines threaten those who drive on worn rubber. Garages are booked out.
t1 | 7 | 10 | 0.2 | Toys | Wooden trains beat tablets at the toy fair
    Makers show railways without batteries. Children stood in line.
t2 | 11 | 9 | 0.4 | Toys | Recall of plush bears with loose eyes
    Small parts can be swallowed. Shops take the toys back.
t3 | 14 | 8 | 0.3 | Toys | Board game of the year is about beekeeping
    Two to five players tend hives through the seasons. A round takes an hour.
h1 | 4 | 60 | 0.5 | HEALTH&nbsp | Seven habits for better sleep
    Doctors advise dark rooms and regular hours. Screens are the worst enemy.
h2 | 5 | 55 | 0.6 | HEALTH&nbsp | Walking after dinner lowers blood sugar
    Ten minutes are enough, a study finds. Diabetics gain most.
h3 | 6 | 50 | 0.4 | HEALTH&nbsp; | Which vitamins you can leave out
    Most pills do nothing for healthy people. Only two are worth their money.
h4 | 7 | 45 | 0.3 | HEALTH&nbsp | Back pain: move instead of rest
    Therapists have turned their advice round. Gentle training helps within weeks.
l1 | 4 | 58 | 0.5 | LIFESTYLE&nbsp | How to keep basil alive on the window sill
    Water from below and cut above the leaves. Sun in the morning is best.
l2 | 5 | 52 | 0.6 | LIFESTYLE&nbsp | One-pot dinners for busy evenings
    Five recipes that need a single pan. None takes longer than half an hour.
l3 | 6 | 48 | 0.4 | LIFESTYLE &nbsp; | Tidying for people who hate tidying
    Fifteen minutes a day change a flat. Start with the hallway.
l4 | 7 | 44 | 0.7 | LIFESTYLE&nbsp | The best scarves for a long winter
    Wool keeps warm, silk looks good. We tried twenty.
"""


def catalogue() -> list[tuple[str, float, int, float, str, str, str]]:
    lines = CATALOGUE.strip().splitlines()
    found = []
    for head, abstract in zip(lines[::2], lines[1::2], strict=True):
        name, hours, readers, priority, section, title = head.split(" | ")
        found.append((name, float(hours), int(readers), float(priority), section, title, abstract.strip()))
    return found


def write_sources(folder: Path) -> tuple[Path, Path, Path]:
    articles, events, mapping = folder / "news.jsonl", folder / "log.jsonl", folder / "map.toml"
    with articles.open("w") as out:
        for name, hours, _, priority, section, title, abstract in catalogue():
            at = (NOW - timedelta(hours=hours)).isoformat()
            row = {"id": name, "head": title, "lead": abstract, "desk": section, "at": at, "weight": priority}
            out.write(json.dumps(row) + "\n")
    with events.open("w") as out:
        for name, hours, readers, *_ in catalogue():
            for reader in range(readers):
                minutes = hours * 60 * (reader + 1) / (readers + 1)
                row = {
                    "who": f"r{reader}",
                    "what": name,
                    "at": (NOW - timedelta(minutes=minutes)).isoformat(),
                    "kind": "VIEW",
                }
                out.write(json.dumps(row) + "\n")
    mapping.write_text(
        '[articles]\narticle_id = "id"\ntitle = "head"\nabstract = "lead"\nsection = "desk"\n'
        'published_at = "at"\neditor_priority = "weight"\n'
        '[events]\ntype = "kind"\nts = "at"\narticle_id = "what"\nsession_id = "who"\n'
        '[events.type_values]\nVIEW = "view"\n'
    )
    return articles, events, mapping


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    folder = tmp_path_factory.mktemp("seed")
    articles, events, mapping = write_sources(folder)
    import_table(articles=articles, events=events, mapping=mapping, out=folder / "data", now=NOW)
    bundle = train(Config(), folder / "data", folder / "models", created=NOW).bundle
    assert not any("&nbsp" in made.model_dump_json() for made in read_articles(bundle))
    return read_state(bundle)


def lists_of(state: State, limit: int) -> dict[str, Slate]:
    context = state.catalog.row(CONTEXT)
    return Funnel(state).page(LISTS, Query(now=NOW.timestamp(), limit=limit, context=context))[0]


def test_related_brings_politics_and_defence_and_no_popular_health_piece(state: State) -> None:
    related = [state.catalog.ids[item.row] for item in lists_of(state, 5)["related"].items]
    assert {name[0] for name in related} <= {"d", "p"}, related


def test_the_four_lists_are_full_and_share_nothing(state: State) -> None:
    slates = lists_of(state, 5)
    shown = [state.catalog.ids[item.row] for slate in slates.values() for item in slate.items]
    assert [len(slates[name].items) for name in LISTS] == [5, 5, 5, 5]
    assert len(set(shown)) == 20
    assert CONTEXT not in shown


def test_latest_begins_with_the_newest_and_popular_with_the_most_read(state: State) -> None:
    slates = lists_of(state, 5)
    assert state.catalog.ids[slates["latest"].items[0].row] == "d1"
    assert state.catalog.ids[slates["popular"].items[0].row] in {"h1", "l1"}


def test_no_entity_is_left_in_a_section_or_card(state: State) -> None:
    assert {"HEALTH", "LIFESTYLE"} <= set(state.catalog.sections.names)
    assert not any("nbsp" in name for name in state.catalog.sections.names)
    assert not any(b"nbsp" in (card or b"") for card in state.catalog.cards)
