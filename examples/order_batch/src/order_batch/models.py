"""What the workflow and its activities say to each other."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OrderBatchRequest:
    """The workflow's input: which batch, and how many orders it has."""

    batch_id: str
    order_count: int


@dataclass(frozen=True)
class Customer:
    """Who ordered, and where the parcels go."""

    customer_id: str
    name: str
    email: str
    phone: str
    street: str
    city: str
    postal_code: str


@dataclass(frozen=True)
class LineItem:
    """One article of an order, with the serial number of each piece."""

    sku: str
    description: str
    quantity: int
    unit_price_cents: int
    weight_grams: int
    serial_numbers: list[str]


@dataclass(frozen=True)
class Order:
    """An order as the warehouse system hands it over."""

    order_id: str
    customer: Customer
    items: list[LineItem]
    shipping_cost_cents: int
    delivery_days: int
    handling_notes: list[str]
    customs_seal: str


@dataclass(frozen=True)
class BatchSummary:
    """The workflow's result."""

    batch_id: str
    order_count: int
    total_shipping_cost_cents: int
    total_weight_grams: int
    average_delivery_days: float
