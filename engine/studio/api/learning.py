"""`/studio/learning/…`: what the wire contract has not: whole cards, trials, curves, searches, reports."""

import math
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from engine.models.errors import TooLittleDataError
from engine.studio.studio import Studio

_REPORT = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "Cache-Control": "no-store",
}
"""A report is a document by itself: it may neither run scripts nor load anything."""


def routes(studio: Studio) -> list[Route]:
    """The endpoints."""
    learning = studio.learning

    def versions(_: Request) -> Response:
        cards, wrong = learning.registry.scan()
        pointer, deleted = learning.registry.pointer(), learning.registry.deletions.since(cards)
        return JSONResponse(
            {
                "cards": {card.version: card.model_dump(mode="json", exclude={"files", "format"}) for card in cards},
                "deleted": {name: one.count for name, one in deleted.items() if one.count},
                "broken": [{"problem": error.problem, "remedy": error.remedy} for error in wrong],
                "serving": pointer.serving,
                "previous": pointer.previous[-1] if pointer.previous else None,
                "candidate": pointer.candidate,
                "share": pointer.share,
                "candidate_share": learning.candidate_share,
            }
        )

    def trial(_: Request) -> Response:
        try:
            return JSONResponse(plain(asdict(learning.trial())))
        except TooLittleDataError as error:  # no failure: a trial begins so
            return JSONResponse({"too_little": error.problem})

    def begin_trial(request: Request) -> Response:
        asked = request.query_params.get("share", str(learning.candidate_share))
        try:
            share = float(asked)
        except ValueError:
            share = 0.0
        after = learning.registry.try_out(request.query_params.get("version", ""), share)
        return JSONResponse({"candidate": after.candidate, "share": after.share})

    def end_trial(_: Request) -> Response:
        before, _after = learning.registry.change(lambda pointer: pointer.untried())
        return JSONResponse({"candidate": before.candidate})

    def curve(_: Request) -> Response:
        epochs, written = learning.curve()
        return JSONResponse(plain({"epochs": epochs, "written": written}))

    def tuning(_: Request) -> Response:
        result = learning.tuning()
        if result is None:
            return JSONResponse({"tried": []})
        gain = result.gain()
        tried = [
            {
                "number": one.number,
                "setting": dict(one.setting),
                "figure": one.figure,
                "epochs": one.epochs,
                "seconds": one.seconds,
                "state": one.state,
                "as_it_was": one.as_it_was,
            }
            for one in result.tried
        ]
        return JSONResponse(
            plain({"until": result.until.isoformat(), "tried": tried, "gain": asdict(gain) if gain else None})
        )

    def reports(_: Request) -> Response:
        return JSONResponse({"reports": [asdict(report) for report in learning.reports()]})

    def report(request: Request) -> Response:
        return FileResponse(learning.report(request.path_params["name"]), media_type="text/html", headers=_REPORT)

    return [
        Route("/studio/learning/versions", versions),
        Route("/studio/learning/trial", trial),
        Route("/studio/learning/trial", begin_trial, methods=["POST"]),
        Route("/studio/learning/trial", end_trial, methods=["DELETE"]),
        Route("/studio/learning/curve", curve),
        Route("/studio/learning/tuning", tuning),
        Route("/studio/learning/reports", reports),
        Route("/studio/learning/reports/{name:path}", report),
    ]


def plain(value: Any) -> Any:
    """As JSON has it: times as text, what is no number as null."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
