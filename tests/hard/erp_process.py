"""A small ERP as a process of its own: drafts and bookings on disk, over HTTP, killed and started again as tests like.

`python -m tests.hard.erp_process PORT JOURNAL`. It can be told to commit and drop the answer, to refuse a key, and to be slow.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar


class Books:
    """What is drafted and booked: a journal, synced before anything is answered."""

    def __init__(self, journal: Path) -> None:
        self._lock = threading.Lock()
        self.drafts: list[str] = []  # keys; a twin is a draft of its own, as in ERPs
        self.bookings: list[str] = []
        if journal.exists():
            for line in journal.read_text().splitlines():
                self._apply(*json.loads(line))
        self._file = journal.open("a")

    def _apply(self, step: str, key: str) -> None:
        if step == "draft":
            self.drafts.append(key)
        else:
            self.bookings.append(key)

    def write(self, step: str, key: str) -> None:
        """Draft and book as often as asked: that it is asked once is our business, not the ERP's."""
        with self._lock:
            self._apply(step, key)
            self._file.write(json.dumps([step, key]) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())


class Handler(BaseHTTPRequestHandler):
    books: ClassVar[Books]
    faults: ClassVar[dict[str, Any]] = {"drop": [], "refuse": [], "slow": 0.0}
    lock: ClassVar[threading.Lock] = threading.Lock()
    running: ClassVar[int] = 0
    peak: ClassVar[int] = 0
    slowness: ClassVar[threading.Event] = threading.Event()

    def log_message(self, *_words: Any) -> None:
        """Nothing on standard error."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        step = self.path.removeprefix("/")
        if step == "faults":
            Handler.faults.update(asked)
            return self._answer(200, {})
        with Handler.lock:
            Handler.running += 1
            Handler.peak = max(Handler.peak, Handler.running)
        Handler.slowness.wait(Handler.faults["slow"])
        with Handler.lock:  # before the answer: the next request may come while this thread ends
            Handler.running -= 1
        return self._serve(step, asked["key"])

    def _serve(self, step: str, key: str) -> None:
        if step == "find":
            return self._answer(200, self._found(key))
        if f"{step} {key}" in Handler.faults["refuse"]:
            return self._answer(409, {"reason": "PERIOD_CLOSED"})
        Handler.books.write(step, key)
        with Handler.lock:
            is_dropped = f"{step} {key}" in Handler.faults["drop"]
            if is_dropped:
                Handler.faults["drop"].remove(f"{step} {key}")
        if is_dropped:
            self.close_connection = True
            return None
        return self._answer(200, self._found(key))

    def do_GET(self) -> None:
        self._answer(200, {"bookings": Handler.books.bookings, "drafts": Handler.books.drafts, "peak": Handler.peak})

    def _found(self, key: str) -> dict[str, Any]:
        books = Handler.books
        foreign_id = f"D{books.drafts.index(key) + 1}" if key in books.drafts else ""
        return {"foreign_id": foreign_id, "is_booked": key in books.bookings}

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    Handler.books = Books(Path(sys.argv[2]))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
