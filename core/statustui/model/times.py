"""Times: aware UTC in Python, fixed-width ISO text where text is stored."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(seconds: float) -> datetime:
    """Aware UTC time of *seconds* since 1970; out-of-range values are clamped to years 1 and 9999."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return datetime(1, 1, 1, tzinfo=UTC) if seconds < 0 else datetime(9999, 12, 31, tzinfo=UTC)


def to_epoch(at: datetime) -> float:
    """Seconds since 1970 of an aware time."""
    return (at - _EPOCH).total_seconds()


def to_text(at: datetime) -> str:
    """Fixed-width UTC text that sorts as it ages: ``2026-11-22T16:40:19.000000Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def from_text(text: str) -> datetime:
    """Parse ISO 8601 text; a time without a zone is taken as UTC.

    Raises:
        ValueError: the text is no ISO 8601 time.
    """
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def utc_now() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(UTC)
