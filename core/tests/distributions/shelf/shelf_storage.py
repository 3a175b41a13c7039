"""A working driver plugin. It opens nothing that could be stored in: registration is what it is for."""

from contextlib import asynccontextmanager

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from temporal_payloads.plugin import ClaimRejectedError, DriverPlugin, hookimpl


class ShelfSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    room: str = Field(description="Which room.")
    boards: int = Field(4, ge=1, description="How many boards.")
    lock: SecretStr | None = Field(None, description="The combination.")


@asynccontextmanager
async def open_shelf(settings, context):
    import shelf_client  # noqa: PLC0415  # as plugins do

    yield shelf_client.connect(settings, context)


def confine(settings, claim):
    raise ClaimRejectedError("The shelf is empty")


@hookimpl
def temporal_payloads_driver():
    return DriverPlugin(
        api_version=1,
        settings=ShelfSettings,
        driver_type="shelf",
        driver_name="example.shelf",
        open=open_shelf,
        confine=confine,
    )
