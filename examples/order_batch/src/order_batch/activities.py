"""The activities: one hands over the whole order list, the other takes it."""

from temporalio import activity

from order_batch.models import BatchSummary, Order, OrderBatchRequest
from order_batch.orders import make_orders


@activity.defn
def fetch_orders(request: OrderBatchRequest) -> list[Order]:
    """Return every order of the batch: a result that is far too large for a history."""
    activity.logger.info("Fetching %d orders of %s", request.order_count, request.batch_id)
    return make_orders(request.batch_id, request.order_count)


@activity.defn
def process_orders(request: OrderBatchRequest, orders: list[Order]) -> BatchSummary:
    """Work through the orders and add them up."""
    activity.logger.info("Processing %d orders of %s", len(orders), request.batch_id)
    return BatchSummary(
        batch_id=request.batch_id,
        order_count=len(orders),
        total_shipping_cost_cents=sum(order.shipping_cost_cents for order in orders),
        total_weight_grams=sum(item.weight_grams * item.quantity for order in orders for item in order.items),
        average_delivery_days=sum(order.delivery_days for order in orders) / max(len(orders), 1),
    )
