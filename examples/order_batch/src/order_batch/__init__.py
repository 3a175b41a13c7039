"""A fulfilment centre's batch of shipping orders, as a user of temporal-payloads would write it."""
