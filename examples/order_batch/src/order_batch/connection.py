"""The one place where the library comes in: one more plugin of the SDK's client."""

from temporal_payloads import PayloadsPlugin
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

_DEFAULT_ADDRESS = "127.0.0.1:7233"


class NoServerError(ConnectionError):
    """No Temporal server answers."""


def temporal_address() -> str:
    """The server's host and port: of `TEMPORAL_ADDRESS`, or of Temporal's own file, or the default."""
    return ClientConfig.load_client_connect_config().get("target_host", _DEFAULT_ADDRESS)


async def connect() -> Client:
    """Connect to Temporal as its own configuration says, with payloads as `temporal-payloads.toml` says.

    Workers of this client take the plugin over.

    Raises:
        ConfigurationError: The payloads' configuration is wrong.
        NoServerError: No Temporal server answers.
    """
    payloads = PayloadsPlugin()
    options = ClientConfig.load_client_connect_config()
    options["target_host"] = temporal_address()
    try:
        return await Client.connect(**options, plugins=[payloads])
    except RuntimeError as error:
        raise NoServerError(
            f"Temporal does not answer at {temporal_address()}: start `python -m order_batch services`, or "
            f"set TEMPORAL_ADDRESS to where it is ({error})"
        ) from error
