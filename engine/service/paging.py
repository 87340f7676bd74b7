"""Pages of lists: their size, and tokens that are opaque to the client and good only for the list they came from."""

import base64
import binascii
import hashlib

from engine.core.errors import InvalidQueryError

DEFAULT_PAGE, MAX_PAGE = 100, 1000

_CHECK = 8
"""Bytes of a checksum over the cursor and the list."""


def page_token(cursor: str | None, of_list: bytes) -> str:
    """A token for the page at a store's cursor; "" after the last page.

    Args:
        cursor: the store's.
        of_list: what makes this list what it is: its filter and space.
    """
    return "" if cursor is None else sealed(cursor.encode(), of_list)


def sealed(raw: bytes, of_list: bytes) -> str:
    """Bytes as a token that only this list takes back.

    The checksum has no secret: a token grants nothing that the request beside it does not ask for, so that who makes
    one up only misleads themselves, and any server understands the tokens of any other.
    """
    return base64.urlsafe_b64encode(_checksum(raw, of_list) + raw).decode()


def opened(token: str, of_list: bytes, same: str) -> bytes:
    """The bytes in a token.

    Args:
        token: as it came.
        of_list: what makes the list what it is.
        same: what has to be the same, for the remedy.

    Raises:
        InvalidQueryError: if the token is not one that this list gave.
    """
    try:
        sent = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeError, binascii.Error):
        raise _garbled(token) from None
    check, raw = sent[:_CHECK], sent[_CHECK:]
    if check != _checksum(raw, of_list):
        raise InvalidQueryError(
            f"{token[:40]!r} is of another list, or cut off",
            f"send next_page_token of the last response with the same {same}, or begin again without",
            field="page_token",
        )
    return raw


def page_size(size: int) -> int:
    """The number of entries on a page; `DEFAULT_PAGE` for 0.

    Raises:
        InvalidQueryError: if it is negative or more than `MAX_PAGE`.
    """
    if 0 <= size <= MAX_PAGE:
        return size or DEFAULT_PAGE
    raise InvalidQueryError(
        f"page_size is {size}", f"send 1 to {MAX_PAGE}, or 0 for {DEFAULT_PAGE}", field="page_size"
    )


def cursor_of(token: str, of_list: bytes) -> str | None:
    """The store's cursor in a token; None for "", the first page.

    Raises:
        InvalidQueryError: if the token is not one that this list gave.
    """
    try:
        return opened(token, of_list, "filter").decode() if token else None
    except UnicodeDecodeError:  # somebody made it up
        raise _garbled(token) from None


def _garbled(token: str) -> InvalidQueryError:
    return InvalidQueryError(
        f"{token[:40]!r} is no token", "send next_page_token as it came, or begin again without", field="page_token"
    )


def _checksum(cursor: bytes, of_list: bytes) -> bytes:
    return hashlib.blake2b(cursor, key=hashlib.blake2b(of_list, digest_size=32).digest(), digest_size=_CHECK).digest()
