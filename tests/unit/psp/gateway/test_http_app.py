"""HTTP around the handlers (psp/gateway/http_app.py)."""

import json

import pytest

from psp.client.errors import ClockError
from psp.gateway.http_app import MAX_BODY
from tests.unit.psp.gateway.rig import PAGE, TOKEN, card_of


async def test_nothing_but_health_and_the_document_is_open(program):
    health = await program.ask("GET", "/healthz", token=None)
    document = await program.ask("GET", "/v1/openapi.json", token=None)
    closed = [
        await program.ask("GET", path, token=None)
        for path in ("/v1/status", "/v1/contacts", "/metrics", "/v1/events", "/")
    ]

    assert health.body == {"status": "ok"}
    assert document.body["openapi"] == "3.1.0"
    assert {(answer.status, answer.problem) for answer in closed} == {
        (401, "unauthorized")
    }
    assert closed[0].headers["WWW-Authenticate"] == "Bearer"


async def test_a_rebound_name_and_a_foreign_page_get_nothing(program):
    rebound = await program.ask("GET", "/v1/contacts", Host="evil.example")
    page = await program.ask("GET", "/v1/contacts", Origin="http://evil.example")

    assert (rebound.status, rebound.problem) == (421, "foreign-host")
    assert (page.status, page.problem) == (403, "foreign-origin")
    assert "Access-Control-Allow-Origin" not in page.headers


async def test_a_page_in_the_settings_may_read_the_answers(program):
    program.befriend("alice")
    asked = await program.ask(
        "OPTIONS",
        "/v1/contacts",
        token=None,
        Origin=PAGE,
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="authorization",
    )
    answer = await program.ask("GET", "/v1/contacts", Origin=PAGE)
    problem = await program.ask("GET", "/v1/presence/nobody", Origin=PAGE)

    assert asked.status == 204
    for headers in (asked.headers, answer.headers, problem.headers):
        assert headers["Access-Control-Allow-Origin"] == PAGE
        assert headers["Vary"] == "Origin"


async def test_a_foreign_page_that_asks_first_is_told_nothing(program):
    answer = await program.ask(
        "OPTIONS",
        "/v1/contacts",
        Origin="http://evil.example",
        Access_Control_Request_Method="DELETE",
    )

    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_answers_are_neither_kept_nor_taken_for_something_else(program):
    for path in ("/healthz", "/v1/status", "/nowhere"):
        headers = (await program.ask("GET", path)).headers

        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] == "psp"


async def test_what_is_not_there_is_a_problem_too(program):
    nowhere = await program.ask("GET", "/v2/presence/alice")
    method = await program.ask("DELETE", "/v1/contacts")
    head = await program.ask("PUT", "/v1/events")

    assert (nowhere.status, nowhere.problem) == (404, "not-found")
    assert (method.status, method.problem) == (405, "method-not-allowed")
    assert method.headers["Allow"] == "GET,POST"
    assert head.status == 405


async def test_a_body_must_be_json_and_not_too_large(program):
    form = await program.ask(
        "POST", "/v1/presence", b"who=alice", Content_Type="text/plain"
    )
    large = await program.ask("POST", "/v1/presence", b" " * (MAX_BODY + 1))
    largest = await program.ask(
        "POST", "/v1/presence", json.dumps({"who": ["x" * 1024] * 100}).encode()
    )

    assert (form.status, form.problem) == (415, "unsupported-media-type")
    assert (large.status, large.problem) == (413, "too-large")
    assert largest.status == 200


async def test_a_fault_of_ours_is_told_without_its_text(program, logged):
    program.client.fault = RuntimeError("secret of alice")

    answer = await program.ask("GET", "/v1/status")

    assert (answer.status, answer.problem) == (500, "internal")
    assert "secret" not in str(answer.body)
    assert "gateway_fault" in logged.getvalue()
    assert "secret" not in logged.getvalue()


async def test_neither_token_nor_names_reach_the_log(program, logged, capsys):
    program.befriend("alice")
    program.client.refused[card_of("alice").identity] = ClockError("wrong")
    program.client.fault = RuntimeError("boom")

    for path in ("/v1/presence/alice", "/v1/status", "/v1/presence/nobody"):
        await program.ask("GET", path)
    await program.ask("GET", "/v1/status", token="another-token")

    printed = capsys.readouterr()
    everything = logged.getvalue() + printed.out + printed.err
    assert "gateway_fault" in everything
    for secret in ("boom", TOKEN, "another-token", "alice", "nobody"):
        assert secret not in everything


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_counters_are_shown_to_who_has_the_token(program, method):
    await program.ask("GET", "/v1/status")
    await program.ask("GET", "/v1/presence/nobody")

    answer = await program.ask(method, "/metrics")

    if method == "POST":
        assert answer.status == 405
        return
    text = answer.body.decode()
    assert 'psp_gateway_requests_total{reason="status"} 1.0' in text
    assert 'psp_gateway_problems_total{reason="unknown-contact"} 1.0' in text
    assert "psp_gateway_relays_known 12.0" in text
