"""Outbound addresses are judged after resolution, and the judged address is the one that is called."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from http1_support import OK, calling, fetch, on_loop, saying, scripted
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.http1.errors import AddressForbidden, NameNotResolved
from roadworthy.http1.guard import AddressGuard, forbidden
from roadworthy.http1.origin import Origin

PUBLIC = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8")
PRIVATE = (
    "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.1.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1", "100.100.100.200", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1",
    "fc00::1", "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:0a00:0001::", "224.0.0.1", "ff02::1", "fec0::1",
)  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_may_be_called(text: str) -> None:
    assert forbidden(ip_address(text), private_allowed=False, literal=False) is None


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_may_not_be_called_in_any_spelling(text: str) -> None:
    assert forbidden(ip_address(text), private_allowed=False, literal=False)
    assert forbidden(ip_address(text), private_allowed=False, literal=True)


@pytest.mark.parametrize("text", ["127.0.0.1", "10.0.0.1", "::1", "fc00::1", "192.168.1.1", "::ffff:10.0.0.1"])
def test_an_allowed_origin_may_be_private(text: str) -> None:
    assert forbidden(ip_address(text), private_allowed=True, literal=False) is None


@pytest.mark.parametrize("text", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "169.254.1.1", "0.0.0.0"])
def test_metadata_services_are_never_reached_through_a_name_even_an_allowed_one(text: str) -> None:
    assert forbidden(ip_address(text), private_allowed=True, literal=False)


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_alike_however_ipv6_wraps_it(number: int) -> None:
    plain = forbidden(IPv4Address(number), private_allowed=False, literal=False)
    for wrapped in (0xFFFF << 32 | number, 0x64_FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert forbidden(IPv6Address(wrapped), private_allowed=False, literal=False) == plain


@given(st.ip_addresses())
def test_nothing_that_is_not_global_is_ever_public(address: IPv4Address | IPv6Address) -> None:
    if forbidden(address, private_allowed=False, literal=False) is None:
        assert address.is_global
        assert not (address.is_private)
        assert not (address.is_loopback)
        assert not (address.is_link_local)
        assert not (address.is_multicast)


class Names:
    """A resolver that answers from a script, a step per question."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def __call__(self, host: str, port: int) -> list[str]:
        return self._answers.pop(0)


@on_loop
async def test_a_name_that_turns_private_between_two_questions_is_refused_at_the_second() -> None:
    origin = Origin.from_url("http://rebinding.example")
    guard = AddressGuard(resolve=Names(["93.184.216.34"], ["127.0.0.1"]))
    assert await guard.addresses(origin) == ["93.184.216.34"]
    with pytest.raises(AddressForbidden, match=r"127\.0\.0\.1 \(loopback\).*allow_private"):
        await guard.addresses(origin)


@on_loop
async def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    """The name means nothing outside our resolver, and it is asked once: no second look-up can differ."""
    async with scripted(saying(OK)) as server:
        origin = Origin.from_url(f"http://only.in.our.resolver.example:{server.origin.port}")
        guard = AddressGuard(allowed=[origin], resolve=Names(["127.0.0.1"]))
        async with calling(guard=guard) as client:
            assert (await fetch(client, origin)).body == b"hello"
    assert server.accepted == 1


@on_loop
async def test_a_private_address_behind_a_name_gets_no_connection() -> None:
    async with scripted(saying(OK)) as server:
        origin = Origin.from_url(f"http://evil.example:{server.origin.port}")
        async with calling(guard=AddressGuard(resolve=Names(["127.0.0.1"]))) as client:
            with pytest.raises(AddressForbidden):
                await fetch(client, origin)
    assert server.accepted == 0


@on_loop
async def test_of_mixed_addresses_only_the_public_ones_are_kept() -> None:
    guard = AddressGuard(resolve=Names(["10.0.0.1", "8.8.8.8", "8.8.8.8"]))
    assert await guard.addresses(Origin.from_url("https://mixed.example")) == ["8.8.8.8"]


@on_loop
@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"])
async def test_other_spellings_of_loopback_are_found_out_by_resolution(host: str) -> None:
    with pytest.raises(AddressForbidden):
        await AddressGuard().addresses(Origin.from_url(f"http://{host}:80"))


@on_loop
async def test_a_name_without_an_address_says_so() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(NameNotResolved, match=r"nowhere\.example has no address: Name or service"):
        await AddressGuard(resolve=nowhere).addresses(Origin.from_url("http://nowhere.example"))
