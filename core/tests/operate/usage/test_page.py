import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from temporal_payloads._operate.usage.counts import StoreCounts
from temporal_payloads._operate.usage.page import page

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Parsed(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture
def counts(listed):
    counts = StoreCounts("s3", now=NOW)
    for number in range(40):
        type_ = f"Type{number}"
        counts.add(listed(number, type_=type_, size=1000 * number, age=timedelta(days=number * 5)))
    counts.add(listed(1, namespace="<script>alert(1)</script>", type_="a & b", size=10**6, aside=True))
    counts.ended = True
    return counts


def test_the_page_says_how_much_there_is(counts):
    text = Parsed(page([counts], ["orders"], NOW)).text
    assert "2026-11-30 12:00 UTC" in text
    assert "41 payloads" in re.sub(r"\s+", " ", text)
    assert "put aside (1 payloads)" in text
    assert "Stored on each of the last 90 days" in text
    assert "16 more" in text  # of 41 types


def test_names_that_came_from_elsewhere_are_text(counts):
    shown = page([counts], ["<b>"], NOW)
    parsed = Parsed(shown)
    assert "script" not in parsed.tags
    assert "b" in parsed.tags  # our own, of the numbers
    assert "<script>alert(1)</script> · workflow a & b" in parsed.text
    assert "Looked for: <b>, and" in parsed.text


def test_the_page_asks_nobody_for_anything(counts):
    shown = page([counts], ["orders"], NOW)
    parsed = Parsed(shown)
    assert not {"script", "link", "img", "iframe", "object", "embed", "a", "form"} & set(parsed.tags)
    assert not {"src", "href", "onload", "onclick"} & {name for name, _ in parsed.attributes}
    assert "http" not in shown.replace("http-equiv", "")
    assert "url(" not in shown
    assert "default-src 'none'" in shown


def test_the_page_has_a_light_and_a_dark_face(counts):
    assert "prefers-color-scheme: dark" in page([counts], [], NOW)


def test_a_store_that_is_empty_or_was_not_listed_says_so():
    broken = StoreCounts("redis", error={"type": "StorageUnavailableError", "message": "it is <down>"})
    text = Parsed(page([StoreCounts("s3"), broken], ["orders"], NOW)).text
    assert "Not listed to its end: it is <down>" in text
    assert text.count("0 B") >= 2
