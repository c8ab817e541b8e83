"""Real logs of two policies: each is told from the other's log, with intervals."""

import numpy as np
import pytest

from tests.training.ope.open_bandit import ABSENT, FOLDER, judged, read_rounds

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=ABSENT)


@pytest.mark.parametrize(("policy", "log"), [("bts", "random"), ("random", "bts")])
def test_a_policy_is_told_from_the_log_of_the_other(policy: str, log: str) -> None:
    found = judged(policy, log)
    assert found.support.effective_lists > 100
    for name in ("item-ips", "item-snips", "item-dr"):
        estimate = found.estimates[name]
        assert 0.0 < estimate.value < 0.03
        assert estimate.low < found.own.high
        assert found.own.low < estimate.high


def test_weights_of_uniform_shows_are_those_of_the_textbook() -> None:
    log, own = read_rounds("random"), read_rounds("bts")
    shares = own.shares(34)
    weights = [
        shares[place, item] / p
        for item, place, p in zip(log.items, log.places, log.propensities, strict=True)
    ]
    plain = sum(w * click for w, click in zip(weights, log.clicks, strict=True)) / len(weights)
    assert judged("bts", "random").estimates["item-ips"].value == pytest.approx(plain, abs=1e-9)
    normal = plain * len(weights) / float(np.sum(weights))
    assert judged("bts", "random").estimates["item-snips"].value == pytest.approx(normal, abs=1e-9)
