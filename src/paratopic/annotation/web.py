"""The labelling page as a server on this machine.

Which requests are refused, how mistakes are answered, and how the server is started. What is served
is not decided here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from paratopic.project.errors import UserError

HOST = "127.0.0.1"


class Guard(BaseHTTPMiddleware):
    """Refuse requests that do not come from the page itself, and add security headers.

    Any web page that is open in a browser on this machine can send requests here. Its requests
    have its own Origin. If its domain name was made to point to this machine (DNS rebinding), they
    have that name as Host.
    """

    def __init__(self, app: ASGIApp, policy: str) -> None:
        super().__init__(TrustedHostMiddleware(app, [HOST, "localhost"]))
        self._headers = {
            "Content-Security-Policy": policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Answer one request."""
        response = self._refusal(request) or await call_next(request)
        response.headers.update(self._headers)
        return response

    def _refusal(self, request: Request) -> Response | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return PlainTextResponse(f"refused: the request comes from a page of {origin!r}", 403)
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            return PlainTextResponse("refused: the content type is not application/json", 415)
        return None


def answered(action: Callable[[], dict[str, Any]], refused: int) -> Response:
    """Answer with the result of an action as JSON, or with why there is none.

    Parameters
    ----------
    refused
        Status of the response where the action raises a `UserError`. A full disk has its own, and
        so has a request of another form.
    """
    try:
        return JSONResponse(action())
    except ValidationError as error:
        return PlainTextResponse(f"the request cannot be read: {error}", 400)
    except UserError as error:
        return PlainTextResponse(str(error), refused)
    except OSError as error:
        return PlainTextResponse(f"Not saved: {error}", 507)


def listen(greeting: str, port: int, token: str = "") -> socket.socket:
    """Take a port, and print its address; requests wait there until `serve` answers them.

    Parameters
    ----------
    greeting
        Line to print; "{address}" in it is replaced by the address.
    port
        Port to take; 0 for any free one.
    token
        First part of the address's path; "", the default, for none.

    Raises
    ------
    UserError
        The port is in use.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise UserError(
            f"port {port} cannot be used ({error.strerror}): choose another, or --port 0 for any "
            "free one"
        ) from None
    port = listener.getsockname()[1]
    path = f"/{token}/" if token else ""
    print(greeting.format(address=f"http://{HOST}:{port}{path}"), flush=True)
    return listener


def serve(application: ASGIApp, listener: socket.socket) -> None:
    """Serve an application until Ctrl-C."""
    config = uvicorn.Config(application, lifespan="off", ws="none", log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
