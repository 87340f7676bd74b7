"""`triveni search` and `triveni recommend`: ask this folder's store, or a server."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import console, server_error, settings_of, tell
from engine.cli.groups import grouped

if TYPE_CHECKING:
    from engine.cli.named import Names
    from triveni.v1 import event_pb2, recommendation_pb2

    Named = tuple[recommendation_pb2.RecommendResponse, Names]
    """An answer, and what the ids in it stand for."""


@dataclass(frozen=True, slots=True)
class ContentOptions:
    """What is asked for besides words."""

    image: Annotated[
        list[Path] | None, typer.Option("--image", help="A picture file; may be given again.", dir_okay=False)
    ] = None
    audio: Annotated[
        list[Path] | None, typer.Option("--audio", help="A sound file; may be given again.", dir_okay=False)
    ] = None
    item: Annotated[
        list[str] | None, typer.Option("--item", help="An item's id: more like it; may be given again.")
    ] = None


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """What the person did."""

    history: Annotated[
        Path | None, typer.Option(help='Events, one a line: {"kind": "like", "item": "42"}.', dir_okay=False)
    ] = None
    like: Annotated[list[str] | None, typer.Option(help="An item that was liked, by id; may be given again.")] = None
    click: Annotated[list[str] | None, typer.Option(help="An item that was clicked; may be given again.")] = None
    purchase: Annotated[list[str] | None, typer.Option(help="An item that was bought; may be given again.")] = None
    dislike: Annotated[list[str] | None, typer.Option(help="An item that was disliked; may be given again.")] = None
    searched: Annotated[list[str] | None, typer.Option(help="A text that was searched; may be given again.")] = None
    user: Annotated[str, typer.Option(help="The person: what was recorded of them counts too.")] = ""
    upload: Annotated[
        list[Path] | None, typer.Option(help="A picture or sound that was uploaded; may be given again.")
    ] = None

    def events(self) -> list[event_pb2.Event]:
        """All but what was recorded, as the wire has it."""
        from engine.cli import request

        found = request.history(self.history) if self.history else []
        items = {"like": self.like, "click": self.click, "purchase": self.purchase, "dislike": self.dislike}
        found += [request.event(kind, each) for kind, ids in items.items() for each in ids or ()]
        found += [request.event("search", request.text(words)) for words in self.searched or ()]
        return found + [request.event("upload", request.media(path)) for path in self.upload or ()]


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """Which results, of whom, and how they are printed."""

    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            "--filter",
            help="field=value, field=a|b, field!=value, field<number, field>=2025-01-31; all must hold.",
        ),
    ] = None
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many results.")] = 10
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")] = False
    server: Annotated[
        str, typer.Option(help="Ask the server at HOST:PORT; one that has the store open is found without it.")
    ] = ""
    model: Annotated[
        str, typer.Option(help="The version of the model to answer with; `untrained` for none. `triveni model list`")
    ] = ""
    trace: Annotated[
        bool, typer.Option("--trace", help="Also what the request went through: how many, how long.")
    ] = False
    max_false_positive_rate: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            max=1.0,
            help="Leave out what may fit the query by chance: with 0.01, one in a hundred queries that nothing fits "
            "finds something all the same.",
        ),
    ] = None
    page: Annotated[
        str, typer.Option(metavar="TOKEN", help="The next page: what the last answer named below its results.")
    ] = ""

    def policy(self) -> recommendation_pb2.PolicyOptions | None:
        """What may be shown, as the wire has it; None where nothing is said."""
        from triveni.v1 import recommendation_pb2

        if self.max_false_positive_rate is None:
            return None
        return recommendation_pb2.PolicyOptions(max_false_positive_rate=self.max_false_positive_rate)


@grouped
def search(
    ctx: typer.Context,
    *,
    words: Annotated[list[str] | None, typer.Argument(help="What to look for, in words.")] = None,
    contents: ContentOptions,
    answer: AnswerOptions,
) -> None:
    """Find items by words, pictures, sounds, or other items.

    Example: triveni search "a red bird" --where category=animals
    """
    from engine.cli import request
    from triveni.v1 import recommendation_pb2

    asked = recommendation_pb2.RecommendRequest(
        parts=_parts(" ".join(words or ()), contents),
        filter=request.filter_of(answer.filter_ or ()),
        limit=answer.limit,
        model=request.typed(answer.model),
        trace=answer.trace,
        page_token=request.typed(answer.page),
        policy=answer.policy(),
    )
    if not asked.parts:
        raise typer.BadParameter("say what to look for: words, --image, --audio or --item")
    _show(ctx, "Found", asked, answer)


@grouped
def recommend(
    ctx: typer.Context,
    *,
    query: Annotated[str, typer.Option(help="What the person asks for now, in words.")] = "",
    contents: ContentOptions,
    history: HistoryOptions,
    answer: AnswerOptions,
) -> None:
    """Recommend items to a person, from what they did and what they ask for.

    Example: triveni recommend --searched "musical instruments" --like animals/birds/owl --upload cow.ogg
    """
    from engine.cli import request
    from triveni.v1 import recommendation_pb2

    asked = recommendation_pb2.RecommendRequest(
        user_id=request.typed(history.user),
        parts=_parts(query, contents),
        history=history.events(),
        filter=request.filter_of(answer.filter_ or ()),
        limit=answer.limit,
        model=request.typed(answer.model),
        trace=answer.trace,
        page_token=request.typed(answer.page),
        policy=answer.policy(),
    )
    _show(ctx, "Recommended", asked, answer)


def _parts(words: str, others: ContentOptions) -> list[recommendation_pb2.QueryPart]:
    from engine.cli import request

    contents = [request.text(words)] if words else []
    contents += [request.picture(path) for path in others.image or ()]
    contents += [request.sound(path) for path in others.audio or ()]
    return [request.part(source) for source in (*contents, *(others.item or ()))]


def _show(
    ctx: typer.Context, caption: str, asked: recommendation_pb2.RecommendRequest, options: AnswerOptions
) -> None:
    from engine.cli import answer as answers

    address = options.server or _running(ctx)
    answer, names = _from_server(ctx, address, asked, not options.as_json) if address else _from_store(ctx, asked)
    if options.as_json:
        print(answers.as_json(answer))
        return
    if answer.no_match:
        said = "nothing fits surely enough: raise --max-false-positive-rate to see more, 1 shows what is nearest"
        console.print(said, style="yellow")
    elif not answer.results:
        filtered = "nothing passes the filter and the policy; ask for less"
        said = filtered if asked.HasField("filter") else "nothing is indexed; `triveni index` fills the store"
        console.print(f"no results: {said}", style="yellow")
    else:
        console.print(answers.table(caption, answer, asked.parts, asked.history, names))
    for skipped in answer.skipped:
        console.print(answers.left_out(skipped, names), style="yellow")
    if answer.next_page_token:
        console.print(f"more: the same with --page {answer.next_page_token}", style="dim", soft_wrap=True)
    if answer.stages:
        console.print(answers.way(answer.stages), style="dim", highlight=False, soft_wrap=True)


def _running(ctx: typer.Context) -> str:
    """The address of the server that has the embedded store open; "" if nobody has.

    Raises:
        StoreInUseError: if another process has it open that cannot be asked.
    """
    from engine import opening

    address = opening.running_server(settings_of(ctx))
    if address:
        tell("note", "dim", f"the server at {address} has the store open, and is asked")
    return address


def _from_server(
    ctx: typer.Context, address: str, asked: recommendation_pb2.RecommendRequest, with_names: bool
) -> Named:
    """Ask a server. Contents go to it as they are: neither encoders nor the store are loaded here."""
    import grpc

    from engine.cli import named, other_settings
    from engine.cli.calling import channel_to
    from triveni.v1 import recommendation_pb2_grpc

    here = other_settings.digests_here(ctx)
    with channel_to(address) as channel:
        stub = recommendation_pb2_grpc.RecommendationServiceStub(channel)
        try:
            answer, call = stub.Recommend.with_call(asked, timeout=30, metadata=other_settings.asking(here))
        except grpc.RpcError as error:
            raise server_error(address, error) from None
        other_settings.warn(ctx, here, call.trailing_metadata(), address)
        return answer, named.from_server(channel, asked, answer) if with_names else named.NO_NAMES


def _from_store(ctx: typer.Context, asked: recommendation_pb2.RecommendRequest) -> Named:
    from engine import opening
    from engine.cli import named
    from engine.compose.engine import build_engine, open_serving
    from engine.core.deadline import Deadline
    from engine.core.times import now_utc
    from engine.core.types import UNTRAINED
    from engine.events.history import Joined
    from engine.query.trace import UNTRACED, Trace
    from engine.service import convert
    from engine.service.convert.events import EventReader
    from engine.service.logs import configure_logs
    from engine.service.result_pages import page_of

    settings = settings_of(ctx)
    query = convert.recommend_query(asked, EventReader(opening.event_kinds(settings)))
    space = opening.open_space(settings)
    page, depth = page_of(asked, now_utc(), tenant="", fingerprint=space.fingerprint), settings.retrieve.max_limit
    query = replace(page.query(query, depth), user=opening.event_limits(settings).users(query.user))
    joined = Joined(query, len(query.history))
    if query.user:
        with closing(opening.open_events(settings)) as events:
            joined = opening.stored_history(settings, events).join(query, Deadline(), page.before)
    with ExitStack() as opened:
        store = opened.enter_context(closing(opening.open_store(settings, space)))
        models = None
        version = query.model or opening.registry(settings).pointer().serving
        if version not in ("", UNTRAINED):  # else PyTorch, which takes seconds to load, is not needed
            configure_logs("warning", json_lines=settings.log.json_lines)  # standard output is the answer's
            models = opened.enter_context(closing(open_serving(settings, space, store)))
            models.start()
        engine = build_engine(settings, space, store, models=models)
        trace = Trace(interests=True) if asked.trace else UNTRACED
        made = engine.recommend(joined.query, trace=trace)
        answer = convert.recommend_response(made, joined)
        answer.next_page_token = page.next_token(made, depth)
        return answer, named.from_store(store, joined, asked, answer)
