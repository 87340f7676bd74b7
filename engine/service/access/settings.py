"""Settings of who may do what."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from engine.core.section import Section


class AccessSettings(Section):
    """Who may do what, over gRPC, HTTP and in Triveni Studio; everybody everything without keys and jwks."""

    keys: Path | None = None
    """The file of API keys, which `triveni access add-key` writes."""
    jwks: Path | None = None
    """The file of public keys (JWKS) that tokens are verified with."""
    issuer: str = ""
    """Of tokens: what their `iss` must be."""
    audience: str = ""
    """Of tokens: what their `aud` must be, or hold."""
    leeway_seconds: float = Field(default=30.0, ge=0, le=600)
    """That the clocks of whoever issues tokens may differ by."""
    subject_claim: str = Field(default="sub", min_length=1)
    """The claim that names the caller."""
    scopes_claim: str = Field(default="scope", min_length=1)
    """The claim that lists scopes."""
    scope_prefix: str = ""
    """Begins the scopes of a token that are Triveni's, such as "triveni:" in triveni:read."""
    tenant_claim: str = ""
    """The claim that names the tenant; empty lets all tokens be of the one that there is by itself."""

    @model_validator(mode="after")
    def _tokens_say_for_whom_they_are(self) -> Self:
        if self.jwks is not None and not (self.issuer and self.audience):
            raise ValueError("access.jwks needs access.issuer and access.audience: tokens for others are none")
        return self
