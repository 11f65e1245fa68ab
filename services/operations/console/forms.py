"""What the pages' forms send: bounded, from a page of our own, and not older than a shift.

A browser says where a form comes from (Origin) and whom it believes to talk to (Host). Both must be this console, or
another site's page could act for whoever has the console open. The form's own mark goes with a page that only they can
read, and it ends: a page that was left open overnight decides nothing.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl, urlsplit

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from starlette.requests import Request

from services.operations.console.words import Refused

BODY_MOST = 1024 * 1024  # bytes; a correction has 256 KiB of JSON at most, up to three times as much in a form
FIELDS_MOST = 2000
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Form:
    """The fields of a form; a name may stand more than once."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str:
        return next((value for key, value in self._fields if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._fields if key == name]


class Forms:
    """Marks forms and reads them. The secret lives as long as the process: a restart makes open forms void."""

    def __init__(self, minutes: float) -> None:
        self._seconds = minutes * 60
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="console form")

    def mark(self) -> str:
        """To be sent back with a form."""
        return self._signer.dumps("")

    async def read(self, request: Request) -> Form:
        """The form of this request. Refused: FORM_FOREIGN, FORM_EXPIRED, FORM_TOO_LARGE, FORM_UNREADABLE."""
        origin = request.headers.get("origin", "")
        if urlsplit(origin).netloc != request.headers.get("host", ""):
            raise Refused("FORM_FOREIGN", "The form was not sent by a page of this console. Nothing was done.", 403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_MOST:
                raise Refused("FORM_TOO_LARGE", f"The form has more than {BODY_MOST:,} bytes. Nothing was done.", 413)
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MOST, errors="strict")
        except ValueError as fault:
            raise Refused("FORM_UNREADABLE", f"The form can't be read: {fault}. Nothing was done.") from fault
        form = Form(fields)
        self._check(form.one("mark"))
        return form

    def _check(self, mark: str) -> None:
        try:
            self._signer.loads(mark, max_age=self._seconds)  # type: ignore[arg-type]
        except SignatureExpired as fault:
            raise Refused("FORM_EXPIRED", "The page is too old. Nothing was done: open it anew.", 403) from fault
        except BadSignature as fault:
            text = "The page is older than this console's last start. Nothing was done: open it anew."
            raise Refused("FORM_EXPIRED", text, 403) from fault


def is_ours(host: str) -> bool:
    """Whether a browser that asks this host means this machine, and not a name that was pointed at it."""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False
