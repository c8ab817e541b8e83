"""Signed ids: nobody makes one without the key, and one says for whom and of which articles it is."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys import trust
from recsys.schemas import check_id

KEY = trust.signing_key("a secret key of a service")
NONCE = b"8 bytes."
NOW = 1_770_000_000.0
NAMES = st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20), max_size=120)


@given(NAMES, st.text(max_size=20))
def test_an_id_is_an_id_and_holds_all_its_articles(names: list[str], reader: str) -> None:
    made = trust.sign_request(KEY, NOW, reader, names, NONCE)
    assert check_id(made) == made
    for name in names:
        said = trust.verify(KEY, made, ("u:other", reader), name)
        assert said is not None
        assert said.holds
        assert said.minute is not None
        assert 0 <= NOW - said.minute < 60.0


def test_another_reader_another_key_and_any_changed_bit_are_refused() -> None:
    made = trust.sign_request(KEY, NOW, "s:1", ["a"], NONCE)
    assert trust.verify(KEY, made, ("s:2", "u:1"), "a") is None
    assert trust.verify(trust.signing_key("another key"), made, ("s:1",), "a") is None
    raw = base64.urlsafe_b64decode(made + "=" * (-len(made) % 4))
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        text = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        assert trust.verify(KEY, text, ("s:1",), "a") is None, bit


@pytest.mark.parametrize(
    "text", ["", "a", "é", "=", "0" * 128, "ffffffffffffffffffffffff", "-_" * 40, "A" * 52]
)
def test_what_is_no_signed_id_is_refused_and_never_an_error(text: str) -> None:
    assert trust.verify(KEY, text, ("s:1",), "a") is None


def test_a_public_list_is_the_same_for_everyone_and_for_ever() -> None:
    digest = bytes(range(20))
    made = trust.sign_list(KEY, digest, ["a", "b"])
    assert made == trust.sign_list(KEY, digest, ["a", "b"])
    assert made != trust.sign_list(KEY, digest[::-1], ["a", "b"])
    assert trust.nonce_of(made) is None
    said = trust.verify(KEY, made, ("s:anyone",), "b")
    assert said == trust.Attribution(False, None, True, said.serial if said else 0)


def test_a_list_of_a_reader_without_name_is_nobodys_and_has_a_time() -> None:
    made = trust.sign_request(KEY, NOW, None, ["a"], NONCE)
    said = trust.verify(KEY, made, ("s:1",), "a")
    assert trust.nonce_of(made) == NONCE
    assert said is not None
    assert (said.reader, said.minute is None) == (False, False)


def test_two_spellings_of_one_id_have_one_serial() -> None:
    made = trust.sign_request(KEY, NOW, "s:1", ["a"] * 10, NONCE)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    said = [trust.verify(KEY, made[:-1] + letter, ("s:1",), "a") for letter in letters]
    assert len({found.serial for found in said if found is not None}) == 1


@pytest.mark.parametrize(("count", "most"), [(5, 0.005), (10, 0.005), (40, 0.005), (100, 0.1), (400, 0.6)])
def test_few_articles_are_taken_for_listed_ones_by_chance(count: int, most: float) -> None:
    names = [f"article-{number}" for number in range(count)]
    made = trust.sign_request(KEY, NOW, "s:1", names, NONCE)
    assert len(made) <= 128
    hits = np.mean([trust.verify(KEY, made, ("s:1",), f"other-{number}").holds for number in range(4_000)])  # type: ignore[union-attr]
    assert trust.false_positives(count) <= most
    assert hits == pytest.approx(trust.false_positives(count), abs=0.02)
