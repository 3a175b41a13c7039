"""What holds for the tests of all distributions."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def only_new_garbage() -> None:
    """Leave what is there before a module's tests out of garbage collections; all other tests, for instance.

    Many tests collect garbage, to see that nothing was left open or kept alive. Each would walk through all
    that pytest holds, which takes longer than the test.
    """
    gc.collect()
    gc.freeze()
