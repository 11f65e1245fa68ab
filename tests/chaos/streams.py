"""Reads a whole stream by the broker's own text protocol, standard library only: what was told, as it stands there."""

from __future__ import annotations

import json
import secrets
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

from tests.chaos.books import fields

SEQUENCE = 7  # the envelope's field
ANSWERS = "1"


class Broker:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._file = self._socket.makefile("rb")
        self._file.readline()  # INFO
        self._say('CONNECT {"verbose":false,"headers":true,"no_responders":true}')
        self._inbox = f"answers.{secrets.token_hex(8)}"
        self._say(f"SUB {self._inbox} {ANSWERS}")
        self._facts: deque[tuple[str, bytes]] = deque()

    def _say(self, line: str, body: bytes | None = None) -> None:
        self._socket.sendall(line.encode() + b"\r\n" + (body + b"\r\n" if body is not None else b""))

    def _messages(self) -> Iterator[tuple[str, str, bytes]]:
        """(subscription, subject, payload) of what comes."""
        while True:
            words = self._file.readline().split()
            if words and words[0] == b"PING":
                self._say("PONG")
            elif words and words[0] in (b"MSG", b"HMSG"):
                body = self._file.read(int(words[-1]))
                self._file.read(2)
                head = int(words[-2]) if words[0] == b"HMSG" else 0
                yield words[2].decode(), words[1].decode(), body[head:]
            elif not words:
                raise ConnectionError("the broker hung up")

    def ask(self, subject: str, request: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(request).encode()
        self._say(f"PUB {subject} {self._inbox} {len(body)}", body)
        for subscription, subject_of_fact, payload in self._messages():
            if subscription != ANSWERS:
                self._facts.append((subject_of_fact, payload))
                continue
            found: dict[str, Any] = json.loads(payload)
            if "error" in found:
                raise LookupError(found["error"]["description"])
            return found
        raise ConnectionError("no answer")

    def numbers(self, stream: str) -> list[int]:
        """The producer's numbers of its facts, in the order of the stream."""
        count = self.ask(f"$JS.API.STREAM.INFO.{stream}", {})["state"]["messages"]
        place = f"facts.{secrets.token_hex(8)}"
        self._say(f"SUB {place} 2")
        config = {"deliver_subject": place, "deliver_policy": "all", "ack_policy": "none"}
        self.ask(f"$JS.API.CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": config})
        found = []
        for _ in range(count):
            subject, body = self._facts.popleft() if self._facts else next(self._messages())[1:]
            if not subject.endswith("relay.heartbeat"):
                found.append(next(value for number, value in reversed(list(fields(body))) if number == SEQUENCE))
        self._socket.close()
        return found
