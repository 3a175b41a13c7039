"""The batch's contents: the same for the same id, and large where they should be."""

import json
import zlib
from dataclasses import asdict

from order_batch.activities import fetch_orders, process_orders
from order_batch.models import OrderBatchRequest
from order_batch.orders import make_orders
from temporalio.testing import ActivityEnvironment

DEFAULT_THRESHOLD = 256 * 1024


def test_a_batch_id_gives_the_same_summary_each_time():
    request = OrderBatchRequest("BATCH-20260501-120000", 200)
    environment = ActivityEnvironment()
    summary = environment.run(process_orders, request, environment.run(fetch_orders, request))
    assert asdict(summary) == {
        "batch_id": "BATCH-20260501-120000",
        "order_count": 200,
        "total_shipping_cost_cents": 2_837_870,
        "total_weight_grams": 21_440_653,
        "average_delivery_days": 4.45,
    }


def test_another_batch_id_gives_other_orders():
    assert make_orders("A", 3) == make_orders("A", 3)
    assert make_orders("A", 3) != make_orders("B", 3)


def test_a_longer_batch_begins_with_the_orders_of_the_shorter_one():
    assert make_orders("A", 5)[:3] == make_orders("A", 3)


def test_an_empty_batch_has_a_summary():
    summary = ActivityEnvironment().run(process_orders, OrderBatchRequest("A", 0), [])
    assert summary.average_delivery_days == 0


def test_200_orders_are_over_the_threshold_even_at_the_best_compression():
    data = json.dumps([asdict(order) for order in make_orders("A", 200)]).encode()
    assert len(zlib.compress(data, level=9)) > 1.3 * DEFAULT_THRESHOLD
