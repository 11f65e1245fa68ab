"""How far a partner that is read by change numbers was heard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartnerFeed:
    """`watermark` is the partner's own change number, opaque here."""

    partner_id: str
    watermark: str
