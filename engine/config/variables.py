"""Environment variables that mean to be settings, and what a mistyped name was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

from engine.core.errors import SettingsError

PREFIX = "TRIVENI_"
"""Begins the environment variables that are settings."""
NESTED = "__"
"""Between section and key in the name of one."""
ANY = "*"
"""Stands for a key that is a name, as those of tenants are."""


def check_variables(names: Iterable[str], keys: Iterable[str]) -> None:
    """Refuse environment variables that mean to be settings and are none.

    Those are TRIVENI_SECTION__KEY with an unknown section or key, and TRIVENI_SECTION_KEY where there is such a
    setting. Others are left alone: Kubernetes sets TRIVENI_SERVICE_HOST and the like for a service named triveni.

    Args:
        names: of all variables.
        keys: `section` and `section.key` of all settings.

    Raises:
        SettingsError: for the first of them.
    """
    known = {f"{PREFIX}{key.replace('.', NESTED).upper()}" for key in keys}
    single = {name.replace(NESTED, "_"): name for name in known if NESTED in name}
    for name in sorted(names):
        upper = name.upper()
        if not upper.startswith(PREFIX):
            continue
        section = upper.removeprefix(PREFIX).partition(NESTED)[0]
        if f"{PREFIX}{section}{NESTED}{ANY}" in known:
            continue  # the settings check what is in it
        begin = NESTED.join(upper.removeprefix(PREFIX).split(NESTED)[:2])
        if upper in single and upper not in known:
            raise SettingsError(f"environment variable {name} sets nothing", f"write {single[upper]}")
        if NESTED in upper and PREFIX + begin not in known:
            raise SettingsError(
                f"environment variable {name} sets nothing: there is no such setting",
                f"{nearest(PREFIX + begin, known)}correct or unset it; triveni.example.toml explains every key",
            )


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean X? ` with the most like of the known names, or ""."""
    found = get_close_matches(name, sorted(known), 1)
    return f"did you mean {found[0]}? " if found else ""
