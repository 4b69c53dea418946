"""Ids made by the client: time-ordered, 128 bits, without importing ``uuid``."""

import os
import time


def new_id() -> str:
    """Make a time-ordered UUID (version 7, RFC 9562) as lower-case text with dashes.

    Returns:
        36 characters; ids made later sort after ids made in an earlier millisecond.
    """
    millis = time.time_ns() // 1_000_000
    rand = int.from_bytes(os.urandom(10), "big")
    value = (
        (millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (rand >> 68 & 0xFFF) << 64 | 0b10 << 62 | rand & ((1 << 62) - 1)
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
