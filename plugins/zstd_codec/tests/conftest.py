import pytest
from temporalio.api.common.v1 import Payload


@pytest.fixture
def orders():
    """A payload of about 20 KB that compresses well."""
    order = '{"order_id":"ORD-%d","customer":"Customer %d","items":[{"sku":"SKU-%d","quantity":%d}]}'
    rows = [order % (number, number * 7, number * 31 % 997, number % 5) for number in range(250)]
    return Payload(metadata={"encoding": b"json/plain"}, data=f"[{','.join(rows)}]".encode())
