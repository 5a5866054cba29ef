"""The examples in the API's docstrings run as they stand, on a whole test network."""

import asyncio
import inspect

import pytest

from psp.client import client, connecting
from psp.client.contacts import contacts
from tests.examples import count_examples, documented, run_examples


@pytest.mark.timeout(60)
async def test_the_examples_of_the_client_run():
    names = {"asyncio": asyncio, "__name__": "__main__"}
    await run_examples("psp.client.client", inspect.getdoc(client), names)
    try:
        for part in (client.Client, contacts.ContactBook, connecting):
            for name, text in documented(part):
                await run_examples(name, text, names)
    finally:
        await names["stack"].aclose()


def test_every_public_method_has_an_example():
    without = {
        name.rpartition(".")[2]
        for part in (client.Client, contacts.ContactBook)
        for name, text in documented(part)
        if not count_examples(text) and "._" not in name
    }

    assert without <= {
        # The classes themselves, and what shows in the example of a neighbour.
        *("Client", "Facade", "PresenceFacade", "CallFacade", "ContactBook"),
        *("establish", "accept", "accept_call", "close"),
        # For those who look inside: the demo, tests, benchmarks.
        *("identity", "membership", "announcer", "circuits", "directory", "snapshots"),
        *("on_call_step", "ticket_holder"),
    }
