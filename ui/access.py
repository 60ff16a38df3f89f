"""Who may come to the application, and under which names: one record, and the layers that hold it."""

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import UsageError
from ui.accounts import Accounts

if TYPE_CHECKING:
    from fastapi import FastAPI

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """Where the application listens, and whom it answers.

    `names` are those it is asked for besides its own; `proxies` the addresses or networks of proxies whose word is
    taken; `accounts` are None where there is no login.
    """

    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    accounts: Accounts | None = None

    @property
    def shared(self) -> bool:
        """Whether others than this machine can reach the application, by themselves or through a proxy."""
        return self.host not in LOOPBACK or bool(self.names) or bool(self.proxies)

    @property
    def only_here(self) -> bool:
        """Whether a request is as good as the person at this machine."""
        return not self.shared and self.accounts is None


def checked_access(access: Access, insecure: bool) -> Access:
    """Returns it where it is safe or insisted upon; raises UsageError with what to do where it is not."""
    for proxy in access.proxies:
        _network(proxy)
    if access.shared and access.accounts is None and not insecure:
        reached = f"{access.host} can be reached" if access.host not in LOOPBACK else "A named host can be reached"
        raise UsageError(
            f"{reached} from other machines, and there is no login: anybody could read, add and remove documents. "
            "Give it accounts: --auth FILE (make one with --auth FILE --add-user NAME), or RAG_AUTH=user:password. "
            "To insist: --insecure"
        )
    return access


def close_to_strangers(app: "FastAPI", access: Access) -> None:
    """Puts the layers around the application, the outermost last, and the door before Gradio inside it."""
    from ui.gradio_door import Door
    from ui.guard import Guard, own_names
    from ui.limits import Limits
    from ui.login import Login
    from ui.visitors import Visitors

    mount = app.routes[-1]
    mount.app = Door(mount.app)  # type: ignore[attr-defined]  # what gr.mount_gradio_app has appended
    app.add_middleware(Limits)
    app.add_middleware(Visitors, shared=access.shared and access.accounts is None)
    if access.accounts is not None:
        app.add_middleware(Login, accounts=access.accounts)
    proxies = tuple(_network(proxy) for proxy in access.proxies)
    hosts = own_names(access.names) if access.shared else LOOPBACK
    app.add_middleware(Guard, hosts=hosts, addresses=access.host not in LOOPBACK, proxies=proxies)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f"'{text[:100]}' is no address or network of a proxy, as 10.0.0.2 or 10.0.0.0/8.") from None
