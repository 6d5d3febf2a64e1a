"""Masks values that look like secrets where somebody else's text enters a record, a log line or an exception. Pure.

The nouns that carry such text mask it themselves: JobStatus.reason, JobFailure, whatever a record says in words, and
PlatformError. Rather too much is masked than half a secret shown: a value ends where its quotes do, without quotes at
the next space. In linear time.
"""

from __future__ import annotations

import re

MASK = "***"

# Each repetition is bounded or cannot fail once begun, so that a line of megabytes costs no more than its length.
_NAME = (
    r"(?:(?:pass(?:word|wd|phrase)|secret|token|credential|(?:access|api|private|account)[._-]?key|x-(?:amz|goog)-sig)"
    r"[\w.-]{0,60}"
    r"|(?:(?<![a-z])(?:pass|pwd)|(?<=[?&;])sig(?:nature)?)(?![\w.-]))"  # sig: of Azure's shared access signatures
)
_IS = r"\\?[\"'`]?\]?\s{0,40}(?:=>|->|[=:])\s{0,40}"
# Quoted, also with a quote that is itself escaped and, cut off, up to the end of the text.
_QUOTED = r"[bru]{0,2}(?P<quote>\\?[\"'])(?:[^\\\"']+|(?!(?P=quote))(?:\\.|.))*(?P<end>(?P=quote)|\Z)"
_VALUE = rf"(?!\*\*\*[\"'])(?:{_QUOTED}|\S+)"  # not what the first row has masked
_LIST = r"\[(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^\]\"'])*(?:\]|\Z)"
_LISTED = r"\\?[\"']\s{0,4},\s{0,4}(?:\\?[\"']value\\?[\"']\s{0,4}:\s{0,4})?"
_NOT_A_FLAG = r"(?![\"']?--)"
_SCHEME = r"(?:(?:basic|bearer|digest|negotiate|token|aws4-hmac-sha256)\s{1,4})?"

_ROWS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), instead)
    for pattern, instead in (
        # 'spark.acme.password=two words': the quotes stand around name and value
        (rf"(?P<before>(?P<quote>[\"'])[\w.-]{{0,80}}?{_NAME}=)(?![\"'\\])(?:(?!(?P=quote)).)*", rf"\g<before>{MASK}"),
        # a list in brackets below such a name
        (rf"(?P<before>{_NAME}{_IS}){_LIST}", rf"\g<before>[{MASK}]"),
        # password=x, "api_token": "x", db.password -> x
        (rf"(?P<before>{_NAME}{_IS}){_VALUE}", rf"\g<before>\g<quote>{MASK}\g<end>"),
        # '--db-password', 'x' of a list; {"name": "DB_PASSWORD", "value": "x"} of a pod
        (
            rf"(?P<before>{_NAME}{_LISTED}){_NOT_A_FLAG}{_QUOTED}",
            rf"\g<before>\g<quote>{MASK}\g<end>",
        ),
        # [--db-password, x], as Java and AWS print a list
        (
            rf"(?P<before>(?<![\w.-])--?[\w.-]{{0,60}}?{_NAME},\s{{0,4}}){_NOT_A_FLAG}[^\s,\]\"']+",
            rf"\g<before>{MASK}",
        ),
        # --db-password x
        (
            rf"(?P<before>(?<![\w.-])--?[\w.-]{{0,60}}?{_NAME}\s{{1,4}}){_NOT_A_FLAG}{_VALUE}",
            rf"\g<before>\g<quote>{MASK}\g<end>",
        ),
        # password 'x' of Spark's OPTIONS, IDENTIFIED BY 'x' of a database
        (
            rf"(?P<before>(?:password|\bidentified\s{{1,4}}by)`?\s{{1,4}}){_QUOTED}",
            rf"\g<before>\g<quote>{MASK}\g<end>",
        ),
        # Authorization: Bearer x
        (
            rf"(?P<before>\bauthorization{_IS})(?:{_QUOTED}|{_SCHEME}\S+)",
            rf"\g<before>\g<quote>{MASK}\g<end>",
        ),
        (r"(?P<before>\bbearer\s{1,4})[\w.~+/=-]{16,}", rf"\g<before>{MASK}"),
        # s3a://<access key>:<secret key, which may hold slashes>@bucket
        (r"(?P<before>://)(?-i:AKIA|ASIA)[0-9A-Z]{16}:[^\s@]{1,200}@", rf"\g<before>{MASK}:{MASK}@"),
        (r"\b(?-i:AKIA|ASIA)[0-9A-Z]{16}\b", MASK),  # ids of AWS access keys
        (r"(?P<before>://[^/\s:@]*:)[^\s/]+@", rf"\g<before>{MASK}@"),
        (r"(?P<before>\bhttps?://)[^/\s:@]+@", rf"\g<before>{MASK}@"),  # elsewhere it is a container
        # tokens known by their looks: JSON web tokens, EKS, GitHub
        (r"(?-i:\beyJ[\w-]{8,2000}\.[\w-]{8,4000}(?:\.[\w-]{0,2000})?)", MASK),
        (r"(?-i:\bk8s-aws-v1\.[\w-]{8,}|\bgh[pousr]_[A-Za-z0-9]{20,})", MASK),
    )
)


_MAY_HOLD_ONE = re.compile(
    rf"{_NAME}|authorization|bearer|identified|AKIA|ASIA|eyJ|k8s-aws-v1|gh[pousr]_|://[^/\s@]*:|https?://[^/\s@]*@",
    re.IGNORECASE,
)
_USERINFO = re.compile(
    r"//(?:(?:AKIA|ASIA)[0-9A-Z]{16}:[^\s@]{1,200}|[^/\s:@]*:[^\s/]*)@|(?<=http:)//[^/\s@]*@|(?<=https:)//[^/\s@]*@"
)


def redacted(text: str) -> str:
    """The text without values that look like secrets."""
    if _MAY_HOLD_ONE.search(text) is None:
        return text
    for pattern, instead in _ROWS:
        text = pattern.sub(instead, text)
    return text


def names_secret(key: str) -> bool:
    """Whether a value below such a key is masked, whatever it is."""
    return redacted(f"{key}: x") != f"{key}: x"


def public_uri(uri: str) -> str:
    """A URI that lets nobody in: without ``user:password@``, signatures and tokens of its query masked.

    The container of ``abfss://container@host`` is a part of a name and stays.
    """
    place, mark, query = uri.partition("?")
    return _USERINFO.sub("//", place) + redacted(mark + query)
