"""What is learned of authors is what the simulation says of them."""

from pathlib import Path

import numpy as np
import pytest

from recsys.catalog import Catalog
from recsys.config import Config
from recsys.features import Moment, learned_matrix
from recsys.index import ExactIndex, Neighbours
from recsys.state import State
from tests.quality.newsrooms import END, Size, log_of, make
from training.moments import Moments
from training.readers import read_event_log
from training.simulation.scenario import Scenario
from training.simulation.world import World, author_name

T = END.timestamp()
AUTHORS = 15


def counted(world: World, folder: Path) -> State:
    """A state that counted the log of a world."""
    count = len(world.articles)
    near = Neighbours(np.zeros((count, 1), np.int32), np.zeros((count, 1), np.float32))
    state = State(Config(), Catalog.of(world.articles), ExactIndex(np.zeros((count, 1), np.float32)), near)
    Moments(state, read_event_log(log_of(world, folder, 1, 3))).until(T + 1.0)
    return state


def test_cold_articles_start_where_their_authors_quality_puts_them(tmp_path: Path) -> None:
    """Each author's next article, before anybody has seen it, against the factor it was made with."""
    world = make(1, Size(250, 700, 3), Scenario(author_count=AUTHORS, author_sigma=0.6))
    state = counted(world, tmp_path)
    rows = []
    for author in range(AUTHORS):
        names = {"article_id": f"next-{author}", "authors": [author_name(author)]}
        rows.append(state.apply_article(world.articles[0].model_copy(update=names), None))
    moment = Moment(T, None, None, T)
    found = learned_matrix(state, np.array(rows, np.int32), moment, ["author_ctr", "ctr_24h"])
    truth = np.log(world.author_quality)
    assert np.corrcoef(found[:, 0], truth)[0, 1] > 0.7
    assert np.corrcoef(found[:, 1], truth)[0, 1] > 0.7
    # drawn to the section: on the safe side of the truth
    assert 0.1 < found[:, 0].std() < truth.std()


def test_authors_change_nothing_else_of_a_simulated_world() -> None:
    bare, signed = (make(5, Size(50, 20, 1), Scenario(author_count=count)) for count in (0, 7))
    assert {name for article in signed.articles for name in article.authors} <= set(
        map(author_name, range(7))
    )
    assert [a.model_copy(update={"authors": []}) for a in signed.articles] == list(bare.articles)
    np.testing.assert_array_equal(bare.interests, signed.interests)
    factors = np.array([signed.author_quality[int(a.authors[0].split()[1]) - 1] for a in signed.articles])
    np.testing.assert_allclose(signed.quality, bare.quality * factors)
    assert bare.truth(1)["author_quality"] == {}
    assert signed.truth(1)["author_quality"]["Author 1"] == pytest.approx(signed.author_quality[0], abs=1e-6)
