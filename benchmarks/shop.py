"""A made-up shop that words tell apart and meanings do not, and what people type there.

409 items of thirteen kinds in eight looks, so that many have one title; each has a code that begins as all do, and
one of twelve brands, which the title does not say.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

COUNT, ASKED = 409, 48
BRANDS = (
    *("Müller", "SONY", "Zorvex", "Acme", "Kolibri", "Nordwind"),
    *("Bosch", "Lumina", "Adidas", "Tefal", "Casio", "Veltron"),
)
KINDS = (
    *("running shoe", "Laufschuh", "cordless drill", "wireless headphones", "coffee machine", "wall clock"),
    *("desk lamp", "rain jacket", "bicycle helmet", "camping tent", "kitchen knife", "garden hose", "phone case"),
)
LOOKS = ("red", "blue", "black", "white", "green", "grey", "small red", "large black")


@dataclass(frozen=True)
class Article:
    """An item of the shop."""

    look: str
    kind: str
    brand: str
    number: int
    variant: str

    @property
    def title(self) -> str:
        """Which others have too."""
        return f"{self.look} {self.kind}"

    @property
    def code(self) -> str:
        """Its own, such as SKU-4711-A."""
        return f"SKU-{self.number}-{self.variant}"


def articles() -> list[Article]:
    """All items."""
    draw = random.Random(5)
    return [
        Article(draw.choice(LOOKS), draw.choice(KINDS), BRANDS[row % len(BRANDS)], number, draw.choice("ABCDEF"))
        for row, number in enumerate(draw.sample(range(1000, 10_000), COUNT))
    ]


def asked() -> dict[str, list[tuple[str, list[int]]]]:
    """By the name of a set what is typed, each with the rows of the right items; of the last set there are none."""
    items, draw = articles(), random.Random(6)
    rows = draw.sample(range(COUNT), ASKED)

    def one(typed: Callable[[Article], str]) -> list[tuple[str, list[int]]]:
        return [(typed(items[row]), [row]) for row in rows]

    def having(brand: str, kinds: tuple[str, ...]) -> list[int]:
        return [row for row, item in enumerate(items) if item.brand == brand and item.kind in kinds]

    with_kind = [(f"{brand} {kind}", having(brand, (kind,))) for brand in BRANDS for kind in KINDS]
    numbers = {item.number for item in items}
    nobodys = draw.sample([number for number in range(1000, 10_000) if number not in numbers], ASKED)
    return {
        "SKU-4711-A": one(lambda item: item.code),
        "SKU-4711": one(lambda item: f"SKU-{item.number}"),
        "SKU 4711": one(lambda item: f"SKU {item.number}"),
        "4711-A": one(lambda item: f"{item.number}-{item.variant}"),
        "sku 4711 a": one(lambda item: item.code.lower().replace("-", " ")),
        "4711": one(lambda item: str(item.number)),
        "code and drill": one(lambda item: f"{item.code} drill"),
        "where is, please": one(lambda item: f"where is {item.code} please"),
        "two codes": [
            (f"{items[row].code} {items[other].code}", [row, other])
            for row, other in zip(rows[::2], rows[1::2], strict=True)
        ],
        "brand": [(brand, having(brand, KINDS)) for brand in BRANDS],
        "brand and kind": [(text, right) for text, right in with_kind if right],
        "nobody's code": [(f"SKU-{number}-A", []) for number in nobodys],
    }


def first_of(right: list[int]) -> int:
    """How many results are looked at: ten, or twenty of what many are right for, but no more than are."""
    return 10 if len(right) <= 2 else min(len(right), 20)


def share_of_right(found: list[int], right: list[int]) -> float:
    """The part of those that could be among the first that are."""
    first = first_of(right)
    return len({*found[:first]} & {*right}) / min(len(right), first)
