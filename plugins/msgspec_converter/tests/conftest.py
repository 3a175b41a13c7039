"""The converter under test, and what holds it against the SDK's own."""

from textwrap import dedent

import pytest
from support.differential.converters import converter_under_test
from support.differential.outcomes import Comparison
from support.differential.programs import Program


class Alike:
    """Runs the converter and the SDK's, fails where they differ, and gives what both of them give."""

    def __init__(self, converter):
        self._converter = converter

    def encode(self, expression, source=""):
        """Return what comes of writing a value, JSON or an error."""
        return self._comparison(source, "None").encode(expression)

    def decode(self, text, hint="None", source=""):
        """Return what comes of reading JSON, a value or an error."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        return self._comparison(source, hint).decode(data)

    def decode_each(self, texts, hint, source=""):
        """Read one text after the other for one hint."""
        comparison = self._comparison(source, hint)
        for text in texts:
            comparison.decode(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)

    def written(self, expression, source=""):
        """Return the JSON that both write; raise the error with which both refuse."""
        return self.encode(expression, source).unwrap().decode("ascii")

    def read(self, text, hint="None", source=""):
        """Return the value that both read; raise the error with which both refuse."""
        return self.decode(text, hint, source).unwrap()

    def back(self, expression, hint, source=""):
        """Return what both read of what both write."""
        comparison = self._comparison(source, hint)
        return comparison.decode(comparison.encode(expression).unwrap()).unwrap()

    def _comparison(self, source, hint):
        return Comparison(Program((dedent(source).strip(),), hint, postponed=False), self._converter)


@pytest.fixture(scope="session")
def converter():
    """One converter for all tests, as it is one for all of a worker's life."""
    return converter_under_test()()


@pytest.fixture(scope="session")
def alike(converter):
    return Alike(converter)
