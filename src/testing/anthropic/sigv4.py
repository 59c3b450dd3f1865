"""AWS Signature Version 4, computed again from the request and the known secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse

import msgspec

from ..records import RecordedRequest

__all__ = ["Authorization", "parse_authorization", "signature_of"]

_FORM = re.compile(
    r"AWS4-HMAC-SHA256 "
    r"Credential=(?P<key>[^/,]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/"
    r"aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


class Authorization(msgspec.Struct, frozen=True):
    """The parts of an `Authorization` header."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(value: str) -> Authorization | None:
    """The parsed header, None where it is not of SigV4's form."""
    match = _FORM.fullmatch(value)
    if match is None:
        return None
    return Authorization(
        access_key=match["key"],
        date=match["date"],
        region=match["region"],
        service=match["service"],
        signed_headers=tuple(match["headers"].split(";")),
        signature=match["signature"],
    )


def signature_of(call: RecordedRequest, authorization: Authorization, secret: str) -> str:
    """The signature this request should carry, in hexadecimal."""
    # Every service but S3 signs the path encoded once more than it is sent.
    path = urllib.parse.quote(call.full_path, safe="/-_.~")
    query = "&".join(
        f"{urllib.parse.quote(name, safe='-_.~')}={urllib.parse.quote(value, safe='-_.~')}"
        for name, value in sorted(call.query.items())
    )
    headers = "".join(
        f"{name}:{' '.join(call.headers.get(name, '').split())}\n"
        for name in authorization.signed_headers
    )
    body = call.headers.get("x-amz-content-sha256") or hashlib.sha256(call.raw).hexdigest()
    canonical = "\n".join(
        [call.method, path, query, headers, ";".join(authorization.signed_headers), body]
    )
    scope = f"{authorization.date}/{authorization.region}/{authorization.service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", call.headers.get("x-amz-date", ""), scope, digest])
    key = b"AWS4" + secret.encode()
    for part in (authorization.date, authorization.region, authorization.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
