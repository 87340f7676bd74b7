"""Parts that other distributions add: found by name through entry points, loaded when they are named.

A kind of part has one `Plugins`: Triveni's own parts by name, and the group of entry points that others use. A part
with settings of its own comes from `Parts`: a class that is called with an instance of its `Settings`, a `Section`.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from encoders.errors import TriveniError
from engine.core.errors import PluginError, SettingsError

if TYPE_CHECKING:
    pass

T = TypeVar("T")
P = TypeVar("P")


class Plugins(Generic[T]):
    """The parts of one kind, by name. Nothing is imported before `load`.

    Args:
        group: of the entry points, such as `triveni.readers`.
        what: a part is called in messages.
        own: Triveni's own parts, as `module:attribute`; another distribution cannot take their names.
    """

    def __init__(self, group: str, what: str, own: Mapping[str, str] | None = None) -> None:
        self.group, self.what = group, what
        self._own = dict(own or {})

    def names(self) -> tuple[str, ...]:
        """All names: Triveni's own in their order, then those of other distributions."""
        return (*self._own, *self.added())

    def added(self) -> tuple[str, ...]:
        """The names that other distributions add."""
        return tuple(sorted({point.name for point in entry_points(group=self.group)} - self._own.keys()))

    def __contains__(self, name: str) -> bool:
        return bool(self._points(name))

    def load(self, name: str) -> T:
        """What an entry point names.

        Raises:
            SettingsError: if nothing has this name.
            PluginError: if two distributions add this name, or the one that does cannot be imported.
        """
        points = self._points(name)
        if not points:
            known = self.names()
            near = "".join(f"did you mean {one}? " for one in get_close_matches(name, known, 1))
            have = ", ".join(known) or "none"
            remedy = f"{near}use one of those that are installed ({have}), or install the distribution that adds it"
            raise SettingsError(f"there is no {self.what} {name!r}", remedy)
        if len(points) > 1:
            raise PluginError(
                f"{self.what} {name!r} is added by {' and by '.join(sorted(map(_distribution, points)))}",
                "uninstall one of them",
            )
        try:
            loaded: T = points[0].load()
        except Exception as error:
            raise self.broken(name, "cannot be loaded", error) from error
        return loaded

    def broken(self, name: str, problem: str, error: Exception | None = None) -> PluginError:
        """What to raise where a part does not do what it has to.

        Args:
            name: of the part.
            problem: what is wrong with it, as the end of a sentence.
            error: what it raised, if it did.
        """
        points = self._points(name)
        origin = (
            f"entry point {self.group}:{name} = {points[0].value} of {_distribution(points[0])}" if points else ""
        )
        told = f" ({type(error).__name__}: {error})" if error else ""
        return PluginError(
            f"{self.what} {name!r} {problem}{told}; it is {origin}", "correct or uninstall that distribution"
        )

    def _points(self, name: str) -> tuple[EntryPoint, ...]:
        if name in self._own:
            return (EntryPoint(name, self._own[name], self.group),)
        return tuple(entry_points(group=self.group, name=name))


class Parts(Plugins[Callable[[Any], P]], Generic[P]):
    """The parts of a kind that are made from settings of their own.

    Args:
        group: see `Plugins`.
        what: see `Plugins`.
        protocol: that parts fulfil, checkable at run time.
        own: see `Plugins`.
    """

    def __init__(self, group: str, what: str, protocol: type[Any], own: Mapping[str, str] | None = None) -> None:
        super().__init__(group, what, own)
        self._protocol = protocol

    def make(self, name: str, table: Mapping[str, Any], key: str) -> P:
        """A part with its settings.

        Args:
            name: of the part.
            table: its settings as they were written.
            key: where they were written, such as `policy.rules.newest`.

        Raises:
            SettingsError: if there is no such part, or a setting is wrong.
            PluginError: if the distribution that adds it is broken.
        """
        from pydantic import ValidationError  # slow to import, and names are asked for more often than parts

        from engine.core.section import Section

        part = self.load(name)
        settings = getattr(part, "Settings", Section)
        if not (isinstance(settings, type) and issubclass(settings, Section)):
            raise self.broken(name, "has Settings that are no Section")
        try:
            made = part(settings(**table))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join([key, *map(str, first["loc"])])
            remedy = f"its settings are {', '.join(settings.model_fields) or 'none'}"
            raise SettingsError(
                f"setting {place} is wrong: {first['msg'].lower()} (found {first.get('input')!r})", remedy
            ) from None
        except TriveniError:
            raise
        except Exception as error:
            raise self.broken(name, "cannot be made", error) from error
        if not isinstance(made, self._protocol):
            raise self.broken(name, f"makes a {type(made).__name__}, which is no {self._protocol.__name__}")
        return made

    def make_all(self, tables: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, P]:
        """The parts that a section of the settings names, in its order; see `make`.

        Args:
            tables: by name the settings.
            key: of the section, such as `policy.rules`.
        """
        return {name: self.make(name, table, f"{key}.{name}") for name, table in tables.items()}


def _distribution(point: EntryPoint) -> str:
    return f"distribution {point.dist.name} {point.dist.version}" if point.dist else "Triveni itself"
