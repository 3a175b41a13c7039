"""`/metrics`: what it shows, and to whom."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from temporal_payloads.observability import METRICS

TOKEN = "a-token-of-some-length"


LARGE = "".join(str(number * number) for number in range(1000))


class Scraped:
    """What `/metrics` answered."""

    def __init__(self, text):
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __call__(self, name, **labels):
        """Return the sum of the series that have these labels; None if there is none."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None


@pytest.fixture
def scrape(make):
    """Ask a server for its metrics."""

    async def ask(api, token=None):
        response = await api.client.get("/metrics", headers=make.bearer(token) if token else {})
        assert response.status == 200
        assert response.content_type == "text/plain"
        return Scraped(await response.text())

    return ask


@pytest.mark.usefixtures("references_in_clear")
async def test_it_shows_requests_and_what_was_done_for_them(serve, scrape, make):
    api = await serve()
    response = await api.post("encode", [make.plain(LARGE)], namespace="default")
    encoded = (await response.json())["payloads"]
    response = await api.client.post(
        "/decode", json={"payloads": encoded}, headers={"X-Namespace": "default"}
    )
    assert response.status == 200
    value = await scrape(api)
    for operation in ("encode", "decode"):
        labels = {"operation": operation, "status": "200"}
        assert value("temporal_payloads_codec_server_duration_seconds_count", **labels) == 1
        assert value("temporal_payloads_codec_payloads_total", codec="flip", operation=operation) == 1
        for direction in ("received", "sent"):
            assert value(f"temporal_payloads_codec_server_{direction}_bytes_total", operation=operation) > 0
    for operation in ("store", "retrieve"):
        assert value("temporal_payloads_storage_payloads_total", operation=operation, driver="memory") == 1


async def test_it_shows_what_stays_inline(serve, scrape, make):
    api = await serve({"namespaces": {"default": ""}})
    await api.post("encode", [make.plain("small")], namespace="default")
    value = await scrape(api)
    assert value("temporal_payloads_new_payloads_total", driver="inline", namespace="default") == 1


async def test_it_shows_why_requests_were_refused(serve, scrape, make):
    api = await serve({"namespaces": {"orders": ""}})
    await api.post("decode", [make.plain(1)], namespace="unheard-of")
    value = await scrape(api)
    labels = {"operation": "decode", "status": "400", "namespace": "other"}
    assert value("temporal_payloads_codec_server_duration_seconds_count", **labels) == 1


async def test_only_namespaces_that_are_listed_have_series_of_their_own(serve, scrape, make):
    api = await serve({"namespaces": {"orders": ""}, "serve_unlisted": True})
    for namespace in ("orders", "theirs", "anybodys"):
        response = await api.post("encode", [make.plain(LARGE)], namespace=namespace)
        assert response.status == 200
    value = await scrape(api)
    named = {sample.labels["namespace"] for sample in value.samples if "namespace" in sample.labels}
    assert named == {"orders", "other"}
    assert value("temporal_payloads_new_payloads_total", namespace="other", driver="memory") == 2


async def test_it_has_the_names_of_the_catalogue(serve, scrape):
    value = await scrape(await serve())
    assert {family.name for family in value.families} == {metric.prometheus_base for metric in METRICS}


async def test_health_and_metrics_themselves_are_not_measured(serve, scrape):
    api = await serve()
    for path in ("/healthz", "/metrics", "/no-such-path"):
        await api.client.get(path)
    value = await scrape(api)
    assert value("temporal_payloads_codec_server_duration_seconds_count") is None


async def test_where_tokens_are_needed_it_needs_one_too(serve, scrape):
    # One that opens no payloads is enough: what Prometheus has in its settings.
    tokens = {"prometheus": {"token": TOKEN, "namespaces": []}}
    api = await serve({"auth": {"tokens": tokens}})
    response = await api.client.get("/metrics")
    assert response.status == 401
    assert (await response.json())["code"] == "unauthenticated"
    assert await scrape(api, TOKEN)


async def test_a_token_for_metrics_opens_no_payload(serve, make):
    tokens = {"prometheus": {"token": TOKEN, "namespaces": []}}
    api = await serve({"auth": {"tokens": tokens}})
    response = await api.post("decode", [make.plain(1)], headers=make.bearer(TOKEN))
    assert response.status == 403


async def test_no_page_reads_it(serve, make):
    api = await serve()
    response = await api.client.get("/metrics", headers={"Origin": make.UI})
    assert "Access-Control-Allow-Origin" not in response.headers
    response = await api.client.get("/metrics", headers={"Origin": "https://elsewhere.example.com"})
    assert response.status == 403
