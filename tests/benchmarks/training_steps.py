"""One step of training alone in a process, for its cost: ibis, sql, pandas, train; prints JSON.

python -m tests.benchmarks.training_steps STEP PATH
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from recsys.config import load_config
from tests.benchmarks.logs import END

# few lists to learn the ranker from: their number is bounded and would hide the growth of all else
CONFIG = load_config(None, ["ranker.max_lists=10000"])
HALF_LIVES = (1.0, 6.0, 24.0, 168.0)
PAIRS = CONFIG.covisitation
VISIT, SESSION = PAIRS.visit_gap_hours * 3600.0, CONFIG.clicklog.session_gap_minutes * 60.0
HALF_LIFE = PAIRS.half_life_days * 86_400.0
Told = dict[str, float]


def by_ibis(source: Path) -> Told:
    """As training does it."""
    from training.counting import decayed_counts, pairs, trails
    from training.duck import opened

    with opened(CONFIG.clicklog.memory_mb) as duck:
        clicks = duck.connection.read_parquet(source)
        counts = duck.keep("counts", decayed_counts(clicks, HALF_LIVES, END))
        kept = duck.keep("trails", trails(clicks, PAIRS, CONFIG.clicklog.session_gap_minutes, END))
        found = duck.keep("pairs", pairs(kept, PAIRS, ("visit", "session")))
        sums = {f"mass_{at}": counts[f"mass_{at}"].sum() for at in range(len(HALF_LIVES))}
        told = duck.arrow(counts.agg(articles=counts.count(), **sums)).to_pylist()[0]
        told |= duck.arrow(
            found.agg(pairs=found.count(), visit=found.visit.sum(), session=found.session.sum())
        ).to_pylist()[0]
    return dict(told)


def by_sql(source: Path) -> Told:
    """The same, written by hand."""
    masses = ", ".join(
        f"sum(pow(2::double, (ts - {END}::double) / {hours * 3600.0}::double)) AS mass_{at}"
        for at, hours in enumerate(HALF_LIVES)
    )
    reach = PAIRS.reach
    with tempfile.TemporaryDirectory() as folder:
        memory = f"{CONFIG.clicklog.memory_mb}MB"
        settings = {"memory_limit": memory, "temp_directory": folder}
        database = duckdb.connect(f"{folder}/clicks.duckdb", config=settings)
        database.execute(f"CREATE TABLE counts AS SELECT article, {masses} FROM '{source}' GROUP BY article")
        database.execute(f"""
            CREATE TABLE trails AS
            WITH once AS (SELECT reader, article, min(ts) AS ts FROM '{source}' GROUP BY reader, article),
            paused AS (
                SELECT *, ts - lag(ts) OVER (PARTITION BY reader ORDER BY ts, article) AS pause FROM once
            )
            SELECT article, pow(2::double, (ts - {END}::double) / {HALF_LIFE}::double) AS weight,
                row_number() OVER so_far - 1 AS place,
                sum(CASE WHEN pause <= {VISIT} THEN 0 ELSE 1 END) OVER so_far AS visit,
                sum(CASE WHEN pause <= {SESSION} THEN 0 ELSE 1 END) OVER so_far AS session
            FROM paused
            WINDOW so_far AS (ORDER BY reader, ts, article ROWS UNBOUNDED PRECEDING)""")
        database.execute(f"""
            CREATE TABLE pairs AS
            WITH later AS (SELECT *, place // {reach} AS block FROM trails),
            earlier AS (SELECT * FROM later UNION ALL SELECT * REPLACE (block + 1 AS block) FROM later)
            SELECT earlier.article AS earlier, later.article AS later,
                sum(later.weight / (later.place - earlier.place)) AS visit,
                sum(later.weight / (later.place - earlier.place))
                    FILTER (earlier.session = later.session) AS session
            FROM earlier JOIN later ON earlier.visit = later.visit AND earlier.block = later.block
                AND later.place - earlier.place BETWEEN 1 AND {reach}
            GROUP BY ALL""")
        sums = ", ".join(f"sum(mass_{at}) AS mass_{at}" for at in range(len(HALF_LIVES)))
        told = {}
        for query in (
            f"SELECT count(*) AS articles, {sums} FROM counts",
            "SELECT count(*) AS pairs, sum(visit) AS visit, sum(session) AS session FROM pairs",
        ):
            found = database.execute(query)
            names = [column[0] for column in found.description or ()]
            told |= dict(zip(names, found.fetchone() or (), strict=True))
        database.close()
    return told


def by_pandas(source: Path) -> Told:
    """The same in data frames."""
    import pandas as pd

    clicks = pd.read_parquet(source)
    masses = {
        f"mass_{at}": np.exp2((clicks["ts"] - END) / (hours * 3600.0)) for at, hours in enumerate(HALF_LIVES)
    }
    counts = pd.DataFrame(masses).groupby(clicks["article"]).sum()
    once = clicks.groupby(["reader", "article"], as_index=False)["ts"].min()
    del clicks, masses
    once = once.sort_values(["reader", "ts", "article"], ignore_index=True)
    pause = once.groupby("reader")["ts"].diff()
    visit, session = ((~(pause <= limit)).cumsum() for limit in (VISIT, SESSION))
    weight = np.exp2((once["ts"] - END) / HALF_LIFE)
    parts = []
    for gap in range(1, PAIRS.reach + 1):
        same = visit == visit.shift(-gap)
        near = (session == session.shift(-gap))[same]
        counted = weight.shift(-gap)[same] / gap
        later = once["article"].shift(-gap)[same].astype(np.int32)
        columns = {"earlier": once["article"][same], "later": later}
        parts.append(pd.DataFrame({**columns, "visit": counted, "session": counted.where(near)}))
    found = pd.concat(parts).groupby(["earlier", "later"])[["visit", "session"]].sum()
    told = {"articles": len(counts), "pairs": len(found)}
    return told | counts.sum().to_dict() | found.sum().to_dict()


def train(data: Path) -> Told:
    """Clean, replay, count and learn; articles and vectors are made here and not timed."""
    from training.fit import replay
    from training.material import compared, read_material

    articles, vectors = catalogue(5_000)
    found, _ = compared(CONFIG, articles, vectors, "random")
    begun = time.process_time()
    material, _ = read_material(CONFIG, data, found, until=np.inf, now=np.inf)
    state, log = material.state(CONFIG), material.log
    replay(state, log, material.exposures, material.clicks)
    return {"seconds": time.process_time() - begun, "events": len(log)}


def catalogue(count: int):  # type: ignore[no-untyped-def]
    """Articles a0, a1, ... that age with the log, and random unit vectors."""
    from tests.benchmarks.worlds import make_articles

    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(count, 64)).astype(np.float32)
    articles = [
        one.model_copy(update={"article_id": f"a{at}"}) for at, one in enumerate(make_articles(count))
    ]
    return articles, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


STEPS = {"ibis": by_ibis, "sql": by_sql, "pandas": by_pandas, "train": train}

if __name__ == "__main__":
    found = STEPS[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({name: float(value) for name, value in found.items()}))
