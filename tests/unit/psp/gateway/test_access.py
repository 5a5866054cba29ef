"""Who may ask (psp/gateway/access.py)."""

import pytest
from multidict import CIMultiDict

from psp.gateway.access import Access
from psp.gateway.problems import Kind
from tests.unit.psp.gateway.rig import PAGE, TOKEN

GOOD = {"Host": "127.0.0.1:8790", "Authorization": f"Bearer {TOKEN}"}


def refusal(*, is_open=False, **changed):
    headers = {**GOOD, **{name.replace("_", "-"): changed[name] for name in changed}}
    wanted = CIMultiDict({k: v for k, v in headers.items() if v is not None})
    return Access(TOKEN, (PAGE,), 8790).refusal(wanted, is_open=is_open)


def test_a_program_with_the_token_may_ask():
    assert refusal() is None
    assert refusal(Host="localhost:8790") is None
    assert refusal(Authorization=f"bearer  {TOKEN} ") is None


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "127.0.0.1",
        "127.0.0.1:8791",
        "evil.example:8790",
        "127.0.0.1.evil.example:8790",
        "127.0.0.1:8790.evil.example",
        "[::1]:8790",
        "0.0.0.0:8790",
    ],
)
def test_a_name_that_was_made_to_point_here_is_not_this_host(host):
    assert refusal(Host=host) is Kind.FOREIGN_HOST
    assert refusal(is_open=True, Host=host) is Kind.FOREIGN_HOST


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1:8001",
        "HTTP://127.0.0.1:8000",
    ],
)
def test_a_page_that_is_not_in_the_settings_is_refused(origin):
    assert refusal(Origin=origin) is Kind.FOREIGN_ORIGIN
    assert refusal(is_open=True, Origin=origin) is Kind.FOREIGN_ORIGIN


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_that_sends_no_origin_is_refused_all_the_same(site):
    assert refusal(is_open=True, Sec_Fetch_Site=site) is Kind.FOREIGN_ORIGIN


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_an_address_that_the_user_typed_is_served(site):
    assert refusal(is_open=True, Sec_Fetch_Site=site) is None


def test_a_page_in_the_settings_needs_the_token_as_well():
    assert refusal(Origin=PAGE) is None
    assert refusal(Origin=PAGE, Authorization=None) is Kind.UNAUTHORIZED


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer{TOKEN}xx",
        "Bearer \udcff",
    ],
)
def test_without_the_token_nothing_is_done(shown):
    assert refusal(Authorization=shown) is Kind.UNAUTHORIZED
    assert refusal(is_open=True, Authorization=shown) is None


def test_a_browser_that_asks_first_is_told_what_its_page_may():
    access = Access(TOKEN, (PAGE,), 8790)
    asked = {"Host": "127.0.0.1:8790", "Origin": PAGE}

    plain = access.preflight_headers(CIMultiDict(asked))
    private = access.preflight_headers(
        CIMultiDict({**asked, "Access-Control-Request-Private-Network": "true"})
    )

    assert plain["Access-Control-Allow-Origin"] == PAGE
    assert "Authorization" in plain["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Private-Network" not in plain
    assert private["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example"])
def test_other_pages_are_told_nothing(origin):
    headers = {"Host": "127.0.0.1:8790"} | ({"Origin": origin} if origin else {})

    assert Access(TOKEN, (PAGE,), 8790).preflight_headers(CIMultiDict(headers)) is None
    shown = Access(TOKEN, (PAGE,), 8790).answer_headers(CIMultiDict(headers))
    assert "Access-Control-Allow-Origin" not in shown
