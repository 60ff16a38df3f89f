"""A delay that grows with every wrong password, for its account and for the address that it came from."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE = 5
"""Wrong passwords before the first delay: fingers slip."""
FIRST = 2.0
"""Seconds of the first delay; each further wrong password doubles it."""
LONGEST_ACCOUNT = 60.0
"""Seconds that an account can be shut: whoever wants to shut somebody out shall not do so for long."""
LONGEST_ADDRESS = 900.0
FORGET = 3600.0
"""Seconds after which failures are forgotten."""
MOST = 10_000
"""Names and addresses that are remembered, the latest."""


@dataclass(slots=True)
class _Failures:
    count: int
    last: float
    until: float


class Throttle:
    """Counts wrong passwords; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, account: str, address: str) -> int:
        """Returns the seconds until another password is looked at, 0 where it is now.

        An address from which somebody has logged in to the account waits for its own mistakes alone: guesses from
        elsewhere do not shut it out.
        """
        now = self._clock()
        (mine, _), (theirs, _) = _keys(account, address)
        keys = [theirs] if (account, _network(address)) in self._welcome else [mine, theirs]
        known = [self._failures[key].until - now for key in keys if key in self._failures]
        return math.ceil(max(0.0, *known)) if known else 0

    def failed(self, account: str, address: str) -> None:
        """Counts a wrong password. Called before the password is looked at: of many sent at once, none is free."""
        now = self._clock()
        for key, longest in _keys(account, address):
            known = self._failures.pop(key, None)
            count = 1 if known is None or now - known.last > FORGET else known.count + 1
            delay = min(longest, FIRST * 2.0 ** min(count - FREE, 20)) if count >= FREE else 0.0
            self._failures[key] = _Failures(count, now, now + delay)
            if len(self._failures) > MOST:
                self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Forgets the failures of an account; those of the address lose only the one that this login was counted as.

        Else whoever has an account could clear the address between two guesses at others.
        """
        (mine, _), (theirs, _) = _keys(account, address)
        self._failures.pop(mine, None)
        self._welcome[account, _network(address)] = None
        if len(self._welcome) > MOST:
            self._welcome.popitem(last=False)
        known = self._failures.get(theirs)
        if known is not None:
            known.count, known.until = known.count - 1, 0.0


def _keys(account: str, address: str) -> tuple[tuple[str, float], tuple[str, float]]:
    return (f"account {account}", LONGEST_ACCOUNT), (f"address {_network(address)}", LONGEST_ADDRESS)


def _network(address: str) -> str:
    """Returns what one visitor has to himself: an address, of IPv6 the half that a provider gives to a household."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
