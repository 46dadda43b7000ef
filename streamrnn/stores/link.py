"""A link to a Valkey or Redis server does one command at a time, within a time limit, and says what failed."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from streamrnn.errors import OptionError, StoreError, StoreFileError, UsageError
from streamrnn.stores.scripts import BAD_ROW, Script

SCHEMES = {"redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss"}
"""Each scheme of a URL, and what redis-py calls it."""
_URL = re.compile(r"([a-z]+)(://.*)", re.IGNORECASE | re.DOTALL)
_DATABASE = re.compile(r"/?[0-9]*")
_CLIENT = re.compile(rb"id=(\d+) addr=(.*?) laddr=")
_OPTIONS = frozenset({"connection_class", "host", "port", "path", "db", "username", "password", "client_name"})
_FORM = (
    "the URL of a store must be like redis://host:6379/0, rediss://host, valkey://host, valkeys://host or unix:///path"
)


def parse(url: str) -> dict[str, Any]:
    """The arguments of redis-py that stand in a URL. No message holds a part of it, which may be a password.

    Raises:
        OptionError: it is no such URL, or has an option that is not of the place or of TLS.
    """
    found = _URL.fullmatch(url) if isinstance(url, str) else None
    scheme = SCHEMES.get(found[1].lower()) if found else None
    if not found or not scheme:
        raise OptionError(_FORM)
    try:
        arguments: dict[str, Any] = parse_url(scheme + found[2])
        has_place = "path" in arguments if scheme == "unix" else _DATABASE.fullmatch(urlsplit(url).path)
    except ValueError:
        raise OptionError(_FORM) from None
    if not has_place:
        raise OptionError(_FORM)
    if any(name not in _OPTIONS and not name.startswith("ssl_") for name in arguments):
        raise OptionError(
            "the URL of a store takes db, username, password, client_name and ssl_..., and no other option"
        )
    return ({"db": 0} if scheme == "unix" else {"host": "localhost", "port": 6379, "db": 0}) | arguments


def _evaluate(server: Any, script: Script, arguments: Sequence[str | bytes | int]) -> Any:
    try:
        return server.execute_command("EVALSHA", script.sha, *arguments)
    except NoScriptError:
        server.execute_command("SCRIPT LOAD", script.text)
        return server.execute_command("EVALSHA", script.sha, *arguments)


class Link:
    """Does one command at a time on one connection, made at the first call and again after a fault.

    A call that failed is not tried again here. One that got no answer may have been done, but will not be done later:
    the next connection first tells the server to end the one before, with all that it has not read of it yet.

    Args:
        url: see `parse`.
        timeout_s: of each wait for the server, and of the wait for another thread's call, s.

    Raises:
        OptionError: the URL or the timeout is none.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        if not 0 < timeout_s < math.inf:
            raise OptionError(f"timeout_s must be above 0 and finite, got {timeout_s!r}")
        arguments = parse(url)
        self.place = arguments.get("path") or "{host}:{port}/{db}".format(**arguments)
        self._secrets = [value for name, value in arguments.items() if value and "password" in name]
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._last: tuple[bytes, bytes] | None = None
        """Id and address of the connection, as the server names them."""
        pool = redis.ConnectionPool(
            **arguments,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._greet,
            protocol=2,
        )
        try:
            pool.make_connection().disconnect()  # finds options of wrong names and kinds, and does not connect
        except (TypeError, ValueError, RedisError):
            raise OptionError("the URL of a store has an option that redis-py does not take") from None
        self._server: redis.Redis | None = redis.Redis(connection_pool=pool)

    def _greet(self, connection: Any) -> None:
        """Log in, and see to it that nothing of the connection before is done from here on."""
        connection.on_connect()
        with contextlib.suppress(ResponseError):  # an old server, or one that does not permit it
            if self._last:
                connection.send_command("CLIENT", "KILL", "ID", self._last[0], "ADDR", self._last[1])
                connection.read_response()
                self._last = None
            connection.send_command("CLIENT", "INFO")
            found = _CLIENT.match(connection.read_response())
            self._last = (found[1], found[2]) if found else None

    @contextlib.contextmanager
    def _calling(self, operation: str) -> Iterator[Any]:
        """The server, ours alone in this process; faults leave as StoreError."""
        if not self._lock.acquire(timeout=self._timeout_s):
            message = f"store {self.place}: {operation} failed, another call still waits for the server"
            raise StoreError(message, operation=operation, cause="busy")
        try:
            if self._server is None:
                raise UsageError(f"{operation}: the store is closed")
            yield self._server
        except (RedisError, OSError) as fault:
            text = self._without_secrets(str(fault))
            raise self._error(operation, fault, text) from (fault if text == str(fault) else None)
        finally:
            self._lock.release()

    def _without_secrets(self, text: str) -> str:
        text = text.partition(", with args beginning")[0]  # of a server without AUTH, and cut off at any place
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _error(self, operation: str, fault: RedisError | OSError, text: str) -> StoreError:
        cause = type(fault).__name__
        if type(fault) is ResponseError and text.split(" ")[0].isupper():
            cause = text.split(" ")[0]
        kind, cause = (StoreFileError, "row") if "WRONGTYPE" in text else (StoreError, cause)
        return kind(f"store {self.place}: {operation} failed, {cause}: {text}", operation=operation, cause=cause)

    def call(self, operation: str, *command: str | bytes | int) -> Any:
        """What the server answers to a command.

        Raises:
            StoreFileError: a key holds what a store does not write.
            StoreError: the server is not there, late, or refuses.
            UsageError: the link is closed.
        """
        with self._calling(operation) as server:
            return server.execute_command(*command)

    def run(self, operation: str, script: Script, keys: Sequence[bytes], arguments: Sequence[str | bytes]) -> Any:
        """What a script returns; it is loaded where the server does not know it. Raises as `call` does."""
        with self._calling(operation) as server:
            try:
                return _evaluate(server, script, (len(keys), *keys, *arguments))
            except ResponseError as fault:
                bad = BAD_ROW.match(str(fault))
                if not bad:
                    raise
                message = f"store {self.place}: {operation} failed, {keys[int(bad[1])]!r} is no record"
                raise StoreFileError(message, operation=operation, cause="row") from fault

    def close(self) -> None:
        """Let the connection go; closing again does nothing."""
        with self._lock:
            if self._server is not None:
                self._server.connection_pool.disconnect()
                self._server = None
