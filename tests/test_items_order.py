"""Plans of items are the same, whatever the order in which the journals that tell of them arrive."""

import pytest

from statustui.store.open import Store
from support.item_facts import Told, picture


@pytest.mark.parametrize("first", [0, 1])
def test_the_later_word_on_a_switch_holds_whichever_comes_first(store: Store, first: int) -> None:
    Told().give(store)
    off, on = Told(defined=False), Told(defined=False)
    for key in ("k1", "k2"):  # off and then on; on and then off
        off.plan(key, off=["judge"], at=5 if key == "k1" else 9)
        on.plan(key, on=["judge"], at=9 if key == "k1" else 5)
    for told in (off, on) if first else (on, off):
        told.give(store)
    shown = picture(store, "auctions")
    assert "judge" in shown["k1"]["letters"]
    assert "judge" not in shown["k2"]["letters"]


def test_a_skip_takes_along_a_step_whose_earlier_addition_is_told_last(store: Store) -> None:
    Told().give(store)
    told = [Told(defined=False) for _ in range(3)]
    told[0].plan("k", add=["upload"], at=26)
    told[1].skip_item("k", at=24)
    told[2].plan("k", add=["upload"], at=22)
    for one in told:
        one.give(store)
    assert picture(store, "auctions")["k"]["steps"]["upload"]["status"] == "skipped"
