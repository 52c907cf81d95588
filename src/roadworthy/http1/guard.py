"""Which addresses an outbound call may reach, decided after resolution.

The address that was checked is the one that is connected to, so a name that resolves to a public address
first and to a private one later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from roadworthy.http1.errors import AddressForbidden, NameNotResolved
from roadworthy.http1.origin import Origin

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → addresses as text, best first.  Raises ``OSError`` when there is none."""

_METADATA = frozenset({ip_address("169.254.169.254"), ip_address("fd00:ec2::254"), ip_address("100.100.100.200")})
_NAT64 = IPv6Network("64:ff9b::/96")


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, Teredo, NAT64), else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or address


def forbidden(address: Address, *, private_allowed: bool, literal: bool) -> str | None:
    """Why ``address`` may not be called, or ``None``.

    ``private_allowed``: the operator allows this origin to be private.  ``literal``: the address itself is
    written in the configuration, no name was resolved.  Cloud metadata services, link-local and unspecified
    addresses are never reached through a name, even an allowed one.
    """
    address = embedded(address)
    if address.is_multicast:
        return "multicast"
    if private_allowed and literal:
        return None
    if address in _METADATA:
        return "a cloud metadata service"
    if address.is_link_local:
        return "link-local"
    if address.is_unspecified:
        return "unspecified"
    if private_allowed:
        return None
    if address.is_loopback:
        return "loopback"
    if address.is_private or (isinstance(address, IPv6Address) and address.is_site_local):
        return "private"
    return None if address.is_global else "not public"


class AddressGuard:
    """Resolves an origin to the addresses that it may be called at."""

    def __init__(self, *, allowed: Iterable[Origin] = (), resolve: Resolve | None = None) -> None:
        self._allowed = frozenset(allowed)
        self._resolve = resolve or _system_resolve

    def allow(self, origins: Iterable[Origin]) -> None:
        """Replace the origins that may be private.  Connections that are already open stay."""
        self._allowed = frozenset(origins)

    def allows_private(self, origin: Origin) -> bool:
        return origin in self._allowed

    def check_literal(self, origin: Origin) -> bool:
        """True when the host is an address literal and may be called; false when it is a name.

        Raises ``AddressForbidden``.
        """
        address = _literal(origin.host)
        if address is None:
            return False
        reason = forbidden(address, private_allowed=origin in self._allowed, literal=True)
        if reason is not None:
            raise AddressForbidden(_refusal(origin, [f"{address} ({reason})"]))
        return True

    async def addresses(self, origin: Origin) -> list[str]:
        """Addresses that ``origin`` may be called at now, best first; never empty.

        Raises ``NameNotResolved`` and ``AddressForbidden``.
        """
        if self.check_literal(origin):
            return [origin.host]
        try:
            found = await self._resolve(origin.host, origin.port)
        except (OSError, UnicodeError) as error:
            raise NameNotResolved(f"{origin.host} has no address: {error}") from error
        if not found:
            raise NameNotResolved(f"{origin.host} has no address")
        private_allowed = origin in self._allowed
        good: list[str] = []
        bad: list[str] = []
        for text in dict.fromkeys(found):
            reason = forbidden(ip_address(text), private_allowed=private_allowed, literal=False)
            if reason is None:
                good.append(text)
            else:
                bad.append(f"{text} ({reason})")
        if not good:
            raise AddressForbidden(_refusal(origin, bad))
        return good


def _refusal(origin: Origin, bad: list[str]) -> str:
    return (
        f"{origin} is at {', '.join(bad)}, expected a public address: "
        "set allow_private on the target if it is meant to be called there"
    )


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


async def _system_resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]
