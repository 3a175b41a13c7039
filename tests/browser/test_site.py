"""The documentation site: `make docs` builds it without network, and it asks nothing of another host."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60_000
WITHOUT_NETWORK = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"the build asks the network: {event} {arguments[1:]}")

sys.addaudithook(refuse)
from mkdocs.__main__ import cli
cli()
"""
LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""Which attribute of an element a browser loads by itself."""


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The site, and what the build printed."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK, "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stderr


@pytest.fixture(scope="session")
def site(built):
    return built[0]


def test_make_tells_how_the_site_is_read_with_its_search():
    # From a file a browser lets no page load the index.
    recipe = subprocess.run(["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python -m http.server -b 127.0.0.1 -d build/site" in recipe.stdout


class Loads(HTMLParser):
    """Collects what a browser loads for a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if attributes.get("rel") != "canonical":
            self.found.append(attributes.get(LOADED.get(tag, ""), "") or "")


def test_a_build_needs_no_network_and_warns_of_nothing(built):
    assert "WARNING" not in built[1]


def test_no_page_loads_anything_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert [each for each in loads.found if re.match(r"(https?:)?//", each)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text()), sheet


def test_every_fence_of_a_page_is_a_listing(site):
    assert [
        page.name for page in site.rglob("*.html") if "```" in re.sub("<[^>]*>", "", page.read_text())
    ] == []


def test_every_page_of_the_repository_is_in_the_site(site):
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    pages += [Path("plugins", path.parent.name) for path in (ROOT / "plugins").glob("*/README.md")]
    assert [str(page) for page in pages if not (site / page).with_suffix(".html").exists()] == []


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("application", ["build_data_converter", "PayloadsPlugin", "PayloadSettings.load"]),
        (
            "plugin",
            ["DriverPlugin.confine", "ContentAddressedDriver", "KeyLayout", "StorageError"],
        ),
        ("testing", ["DriverConformance", "assert_offloaded", "fixtures.payload_variables"]),
        ("codec_server", ["create_app"]),
    ],
)
def test_the_reference_has_the_public_names(site, page, names):
    text = (site / f"reference/{page}.html").read_text()
    module = "temporal_payloads" if page == "application" else f"temporal_payloads.{page}"
    assert [name for name in names if f'id="{module}.{name}"' not in text] == []


def test_the_references_contents_are_what_tests_use_and_not_the_kits_own_tests(site):
    assert not re.search(r'href="#[\w.]*\.test_', (site / "reference/testing.html").read_text())


@pytest.fixture
def served(site):
    """The address at which the site is served."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.browser
def test_a_browser_finds_a_page_by_search_and_asks_no_other_host(served, browser):
    page = browser().new_page(viewport={"width": 1400, "height": 1000})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{served}/how-it-works.html")
    # Key by key: the page looks for what is typed when a key comes up, and sees no other change.
    page.locator("input.md-search__input").press_sequentially("max_decoded_size")
    # What is found lags behind what is typed.
    found = page.locator(".md-search-result__link", has_text="max_decoded_size")
    found.first.click(timeout=SECONDS)
    page.wait_for_url(re.compile("html.*h="), timeout=SECONDS)
    page.get_by_text("max_decoded_size").first.wait_for(state="attached", timeout=SECONDS)
    assert {url for url in asked if not url.startswith((served, "data:", "blob:"))} == set()
