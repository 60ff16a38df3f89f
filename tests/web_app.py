"""The whole HTTP application in this process, as `rag ui` serves it, for tests that send it requests of their own."""

import re
import socket
import threading
import time
from contextlib import contextmanager

from rag.library import Library
from rag.settings import read_settings


@contextmanager
def opened_app(home, access, page=None):
    """Opens a library and makes the application around it, with another Gradio page where a test brings one."""
    from ui.app import build_app, make_server_app
    from ui.holding import Holding
    from ui.jobs import IngestJobs

    settings = read_settings(home)
    library = Library(settings.home, create=True)
    holding = Holding(library, settings)
    jobs = IngestJobs(holding)
    try:
        yield make_server_app(page or build_app(holding.reader, settings), holding, jobs, access)
    finally:
        jobs.close()
        holding.close()
        library.close()


def client_of(app, address="http://127.0.0.1:7860", visitor="127.0.0.1"):
    """Returns a client with cookies of its own, which asks under an address and comes from another."""
    from starlette.testclient import TestClient

    return TestClient(app, base_url=address, client=(visitor, 50_000), follow_redirects=False)


@contextmanager
def serving(app):
    """Serves an application on a port of this machine, with the limits of `rag ui`; yields its address."""
    import uvicorn

    from ui.connections import server_config

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive()


def routes_of(app):
    """Lists every method and path, of ours and of Gradio's behind its door, with the parameters of paths filled in."""
    *ours, mount = app.routes
    routes = [*_flat(ours), *_flat(mount.app._app.routes)]
    return sorted({(method, _filled(route)) for route in routes for method in route.methods})


def gradio_paths(app):
    """Lists the paths of Gradio's own routes behind the door."""
    return sorted({_filled(route) for route in _flat(app.routes[-1].app._app.routes)})


def _filled(route):
    return re.sub(r"\{[^}]*\}", "1", route.path)


def _flat(routes):
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _flat(route.original_router.routes)
        elif getattr(route, "methods", None):
            yield route
