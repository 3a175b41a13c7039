"""What holds for the tests of all distributions."""

import gc


def pytest_collection_finish() -> None:
    """Leave thousands of tests and their modules out of later garbage collections.

    Many tests collect garbage, to see that nothing was left open or kept alive. Each would walk through all
    that pytest holds, which takes longer than the test.
    """
    gc.collect()
    gc.freeze()
