import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from temporal_payloads_postgres._error_table import RULES
from temporal_payloads_postgres._settings import PostgresSettings

ROOT = Path(__file__).parents[3]
README = (ROOT / "plugins" / "postgres" / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "backends" / "postgres.md").read_text(encoding="utf-8")
CONFIGURATIONS = re.findall(r"```toml\n(.*?)```", README + PAGE, re.DOTALL)
(GRANTS,) = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
SOURCES = "".join(file.read_text() for file in (ROOT / "plugins" / "postgres" / "src").rglob("*.py"))


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_the_configurations_are_valid(text):
    PostgresSettings(**tomllib.loads(text)["storage"]["drivers"]["postgres"])


@pytest.mark.parametrize("setting", PostgresSettings.model_fields)
def test_the_readme_names_every_setting(setting):
    assert f"`{setting}`" in README


@pytest.fixture
def role(database):
    database.run("CREATE ROLE payloads LOGIN PASSWORD 'local-password'")
    yield {"url": replace(database.server, user="payloads").url}
    database.run("DROP OWNED BY payloads")
    database.run("DROP ROLE payloads")


async def test_the_permissions_of_the_readme_suffice(
    database, role, open_driver, store_context, retrieve_context, make_payloads
):
    for grant in GRANTS.strip().split(";\n"):
        database.run(grant)
    payloads = [*make_payloads(20), *make_payloads(1, size=2_500_000)]
    async with open_driver(**role) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        database.run("UPDATE temporal_payloads.payloads SET touched = '-infinity'")
        assert await driver.store(store_context, payloads) == claims
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_select_is_enough_to_read(
    database, role, open_driver, store_context, retrieve_context, make_payloads
):
    for grant in GRANTS.replace(", INSERT, UPDATE", "").strip().split(";\n"):
        database.run(grant)
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, make_payloads(20))
    async with open_driver(**role) as driver:
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(20)


@pytest.mark.parametrize(
    "words", re.findall(r"^\| `([^`]+)` \| ", PAGE.partition("## Troubl")[2], re.MULTILINE)
)
def test_what_the_page_explains_is_what_is_told(words):
    told = [rule.sentence for rule in RULES] + [SOURCES]
    pattern = re.escape(words).replace(re.escape("..."), ".*").replace("INSERT\\ and\\ UPDATE", "{")
    assert any(re.search(pattern, text) for text in told)


async def test_storing_a_payload_writes_little_more_to_the_log_than_the_payload(
    database, open_driver, store_context, make_payloads
):
    payloads = make_payloads(20, size=300_000)
    async with open_driver(**database.address) as driver:
        database.run("CHECKPOINT")
        written = []
        for _ in range(2):
            before = database.one("SELECT pg_current_wal_insert_lsn()")
            await driver.store(store_context, payloads)
            written.append(database.one("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", before))
    first, again = written
    assert 1 < first / (20 * 300_000) < 1.2
    assert again < 20 * 10_000  # full pages after the checkpoint included
