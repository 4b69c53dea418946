"""Drainers that take the same items at once, each in an order of its own, never wait for one another in a ring."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from statustui.store.batch import HostInfo
from statustui.store.open import open_store
from support.item_facts import STEPS, Told, define, sound
from support.stores import Journal, give

DRAINERS = 6
ROUNDS = 12
PIPELINES = ("auctions", "deeds", "permits")


def _drain(url: str, number: int, together: Barrier) -> int:
    """Give batches about items of all pipelines in an order of chance.

    Returns:
        How many times the store began a batch anew.
    """
    chance = random.Random(number)
    host = HostInfo(machine=f"m{number}", host=f"db{number}")
    again = 0
    with open_store(url) as store:
        for turn in range(ROUNDS):
            journal = Journal()
            for name in chance.sample(PIPELINES, len(PIPELINES)):
                weight = {"weight": 1.0 + chance.randrange(3)} if turn % 4 == number % 4 else {}
                define(journal, [{**STEPS[0], **weight}, *STEPS[1:]], name)
            for _ in range(60):
                told = Told(journal, name=chance.choice(PIPELINES), defined=False)
                # New ones all the time, beside those that all have.
                key = f"k{chance.randrange(30 + 20 * turn):04}"
                told.start(key, "scrape", f"{number}-{turn}-{key}")
                if chance.random() < 0.2:
                    told.plan(key, add=[f"extra {chance.randrange(4)}"])
            places = [(chance.choice(PIPELINES), f"k{chance.randrange(60):04}") for _ in range(20)]
            told_of = {f"{name}\x1f{key}\x1fjudge": {"att": "x", "p": 50.0} for name, key in places}
            slot = {"off": journal.offset, "t": 1_795_000_000.0, "m": 5000.0 + turn, "items": told_of}
            together.wait(30)
            again += give(store, journal.batch(slot=slot), host=host).retried
    return again


@pytest.mark.pg
def test_drainers_never_wait_in_rings(pg_url: str) -> None:
    with open_store(pg_url) as store:
        for name in PIPELINES:
            Told(name=name).give(store)
    together = Barrier(DRAINERS)
    with ThreadPoolExecutor(DRAINERS) as pool:
        again = list(pool.map(lambda number: _drain(pg_url, number, together), range(DRAINERS)))
    assert again == [0] * DRAINERS
    with open_store(pg_url) as store:
        sound(store)
