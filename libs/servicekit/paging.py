"""Pages of a list: an opaque token that remembers where the page ended and which filter it belongs to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from google.protobuf.message import Message

from servicekit.domain import DomainError, Kind

DEFAULT, MOST = 100, 500


class PageTokenInvalid(DomainError):
    """The page token belongs to another filter, or is damaged."""

    reason, kind = "PAGE_TOKEN_INVALID", Kind.INVALID


def size(request: Any, default: int = DEFAULT, most: int = MOST) -> int:
    """Rows of this page."""
    return min(request.page_size or default, most)


def after(request: Any) -> list[Any]:
    """Sort key of the last row of the page before; empty for the first page."""
    if not request.page_token:
        return []
    try:
        said, key = json.loads(base64.urlsafe_b64decode(request.page_token.encode()))
    except (ValueError, binascii.Error, TypeError) as error:
        raise PageTokenInvalid from error
    if said != _filter_of(request) or not isinstance(key, list):
        raise PageTokenInvalid
    return key


def token(request: Any, last: list[Any] | None) -> str:
    """Token of the next page, given the sort key of this page's last row; None: there is no next page."""
    if last is None:
        return ""
    return base64.urlsafe_b64encode(json.dumps([_filter_of(request), last]).encode()).decode()


def _filter_of(request: Message) -> str:
    bare = type(request)()
    bare.CopyFrom(request)
    for name in ("page_token", "page_size"):
        bare.ClearField(name)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()[:16]
