"""Column types that keep their meaning in both databases."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from statustui.model.times import from_epoch, from_text, to_text

_LAST = 253_370_764_800.0  # the year 9999


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time: ``timestamptz`` in PostgreSQL, fixed-width ISO text in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text where the database has no time with a zone."""
        return dialect.type_descriptor(String(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Aware time to what the database keeps."""
        return to_text(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """What the database keeps to an aware time; text that is no time becomes 1970."""
        if value is None:
            return None
        try:
            found: datetime = from_text(str(value)) if dialect.name == "sqlite" else value.astimezone(UTC)
        except (ValueError, OverflowError):
            return from_epoch(0)
        # Within what can still be shown in any time zone.
        return found if 1900 < found.year < 9999 else from_epoch(0 if found.year < 9999 else _LAST)


# NULL stays NULL: without none_as_null a None becomes the JSON text "null", and IS NULL is false.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite numbers rows by itself only where the type is spelled INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")
# By bytes, so that the index finds the start of an id whatever the language of the database.
RunId = Text().with_variant(Text(collation="C"), "postgresql")
