"""Real programs, a real drainer, a real store, a real terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bench import Bench


@pytest.fixture
def bench(env: Path) -> Iterator[Bench]:
    place = Bench(env)
    yield place
    place.close()
