"""The HTTP pages on the websocket's port, as plain values: no socket here."""

from __future__ import annotations

import email.utils
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Response

from streamrnn.serving.describe import input_port, output_port
from streamrnn.serving.speech.choice import DIALECTS

if TYPE_CHECKING:
    from streamrnn.server.front import Front

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
RETRY_AFTER_S = 1


def page(path: str, method: str, front: Front) -> Response | None:
    """Return the answer to a plain request for one of our pages, or None for any other path."""
    place = path.partition("?")[0]
    found = PAGES.get(place)
    if found is None:
        return None
    if method != "GET":
        return method_not_allowed(method)
    return found(front)


def live(front: Front) -> Response:
    """Say that the port is open."""
    return answer(HTTPStatus.OK, "live\n")


def ready(front: Front) -> Response:
    """Say whether frames are taken."""
    reason = front.unready_reason
    return answer(HTTPStatus.OK, "ready\n") if reason is None else unavailable(reason)


def models(front: Front) -> Response:
    """List the models that sessions can be opened of, and the limits whose excess ends a connection."""
    listed = [
        {
            "name": name,
            "digest": model.digest,
            "precision": model.precision,
            "input": input_port(model),
            "output": output_port(model),
            "labels": list(model.labels),
        }
        for name, model in sorted(front.models.items())
    ]
    limits = {name: getattr(front.hub.limits, name) for name in ("max_message_bytes", "max_chunk_frames")}
    return answer(HTTPStatus.OK, msgspec.json.encode({"models": listed, "limits": limits}), JSON)


def metrics(front: Front) -> Response:
    """Show what was counted."""
    return answer(HTTPStatus.OK, front.metrics.page(), PROMETHEUS)


PAGES = {"/v2/health/live": live, "/v2/health/ready": ready, "/v2/models": models, "/metrics": metrics}


def not_found(path: str) -> Response:
    """Refuse a path that is no page of ours."""
    speech = " or ".join(f"/{name}" for name in DIALECTS)
    return answer(
        HTTPStatus.NOT_FOUND,
        f"expected / for a websocket, {speech} for another protocol, or one of {', '.join(PAGES)}\n",
    )


def absent(reason: str) -> Response:
    """Refuse a path behind which there is nothing, for a reason."""
    return answer(HTTPStatus.NOT_FOUND, f"{reason}\n")


def method_not_allowed(method: str) -> Response:
    """Refuse a method other than GET."""
    response = answer(HTTPStatus.METHOD_NOT_ALLOWED, "expected GET\n")
    response.headers["Allow"] = "GET"
    return response


def bad_request() -> Response:
    """Refuse what cannot be read."""
    return answer(HTTPStatus.BAD_REQUEST, "expected an HTTP/1.1 request without a body\n")


def unavailable(reason: str) -> Response:
    """Refuse for the moment."""
    response = answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}\n")
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def answer(status: HTTPStatus, body: str | bytes, kind: str = TEXT) -> Response:
    """Return a whole response, after which the connection closes."""
    payload = body.encode() if isinstance(body, str) else body
    headers = Headers(
        [
            ("Date", email.utils.formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(payload))),
            ("Content-Type", kind),
            ("Cache-Control", "no-store"),
        ]
    )
    return Response(status.value, status.phrase, headers, payload)
