"""A walk through the client: items go in, are found and recommended, and what a user did counts.

    triveni serve &
    python examples/python/quickstart.py [PICTURE_OR_SOUND]

The server is at 127.0.0.1:50051, or where TRIVENI_SERVER says. What the walk puts in, it takes out again.
"""

import asyncio
import sys
from pathlib import Path

from triveni.client import AsyncClient, Client, TriveniError

ITEMS = [
    {"id": "quickstart/1", "text": "a small red bird that sings at dawn", "category": "birds"},
    {"id": "quickstart/2", "text": "a grand piano, black and heavy", "category": "instruments"},
    {"id": "quickstart/3", "text": "a fast red car", "category": "cars"},
    {"id": "quickstart/4", "category": "nothing to see, read or hear: this one is refused, and the others are not"},
]
USER = "quickstart-user"


def walk(client: Client, media: list[Path]) -> None:
    """One call after the other, and what came of it."""
    print(client.search("a bird that sings", limit=3))

    answer = client.recommend(search="music", like="quickstart/2", upload=media, limit=3)
    print(answer)
    print(*(f"{reason.label}: {reason.share:.0%}" for reason in answer[0].reasons), sep=", ")

    client.record(user=USER, kind="click", item="quickstart/3", request=answer)
    print(client.recommend(user=USER, limit=3))
    print(client.history(USER))


async def at_once(texts: list[str]) -> None:
    """Many searches at once, with the other client."""
    async with AsyncClient() as client:
        answers = await asyncio.gather(*(client.search(text, limit=1) for text in texts))
    for text, answer in zip(texts, answers, strict=True):
        print(f"{text}: {answer[0].title}")


def main() -> int:
    """Walk, and clean up."""
    try:
        with Client() as client:
            print(client.upsert(ITEMS))
            try:
                walk(client, [Path(name) for name in sys.argv[1:]])
                asyncio.run(at_once(["a bird", "a piano", "a car"]))
            finally:
                client.forget(USER)
                client.delete([str(item["id"]) for item in ITEMS])
    except TriveniError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
