"""The base of nouns that travel as JSON: frozen, strict about unknown keys, Decimal money as strings."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from airflow_doeks.model.redaction import public_uri, redacted

_DIGITS_MAX, _LONG_MAX = 24, 2**63 - 1  # before the point of dollars and seconds; what Spark and Flink count in
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")


def _word(value: Any, known: ValidatorFunctionWrapHandler) -> Any:
    """One of the words of a Literal, or whatever a version with more words may write there."""
    try:
        return known(value)
    except ValidationError:
        if isinstance(value, str) and _WORD.fullmatch(value):
            return value
        raise


def meant(amount: Decimal) -> Decimal:
    """The amount; ValueError for one that nobody can mean, with which sums and pages would break."""
    if not amount.is_finite() or amount.adjusted() > _DIGITS_MAX:
        msg = f"{amount:.3e} is no amount of anything"
        raise ValueError(msg)
    return amount


def counted(number: int) -> int:
    """Rows, bytes or files; ValueError for more than a long holds, which no engine counts."""
    if abs(number) > _LONG_MAX:
        msg = f"a number of {number.bit_length()} bits is no count"
        raise ValueError(msg)
    return number


def _in_utc(at: datetime) -> datetime:
    """The same moment; ValueError for one that is on no calendar of UTC."""
    try:
        return at if at.tzinfo is timezone.utc else at.astimezone(timezone.utc)
    except OverflowError as error:
        msg = f"{at.isoformat()} is on no calendar of UTC"
        raise ValueError(msg) from error


OrNewer = WrapValidator(_word)  # on a Literal of a record, which would else vanish from readers that are older
Amount = Annotated[
    Decimal, AfterValidator(meant), PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json")
]
Told = Annotated[str, AfterValidator(redacted)]  # somebody else's words
Uri = Annotated[str, AfterValidator(public_uri)]
Number = Annotated[int, AfterValidator(counted)]
UtcTime = Annotated[  # told in any zone
    AwareDatetime,
    AfterValidator(_in_utc),
    PlainSerializer(datetime.isoformat, return_type=str, when_used="json"),
]


class Noun(BaseModel):
    """A frozen value with a JSON form."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OpenNoun(Noun):
    """A noun that other versions write, too: keys that this one does not know are kept, and written again."""

    model_config = ConfigDict(frozen=True, extra="allow")


AnyOpenNoun = TypeVar("AnyOpenNoun", bound=OpenNoun)


def keep_unknown(new: AnyOpenNoun, old: AnyOpenNoun) -> AnyOpenNoun:
    """The new noun with the keys of the old one that this version does not know, in the nouns inside it as well.

    Lists are the new one's: which item was which is not known.
    """
    update: dict[str, object] = dict(old.model_extra or {})
    for name in type(new).model_fields:
        ours, theirs = getattr(new, name), getattr(old, name)
        if isinstance(ours, OpenNoun) and isinstance(theirs, OpenNoun):
            kept = keep_unknown(ours, theirs)
            if kept is not ours:
                update[name] = kept
    return new.model_copy(update=update) if update else new
