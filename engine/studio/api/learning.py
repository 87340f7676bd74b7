"""`/studio/learning/…`: what the wire contract has not: whole cards, trials, curves, searches, reports."""

import math
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from engine.models.errors import TooLittleDataError
from engine.studio.learning import Learning
from engine.studio.studio import Studio

_REPORT = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "Cache-Control": "no-store",
}
"""A report is a document by itself: it may neither run scripts nor load anything."""


def routes(studio: Studio) -> list[Route]:
    """The endpoints."""
    answers = _Answers(studio.learning)
    return [
        Route("/studio/learning/versions", answers.versions),
        Route("/studio/learning/trial", answers.trial),
        Route("/studio/learning/trial", answers.begin_trial, methods=["POST"]),
        Route("/studio/learning/trial", answers.end_trial, methods=["DELETE"]),
        Route("/studio/learning/curve", answers.curve),
        Route("/studio/learning/tuning", answers.tuning),
        Route("/studio/learning/reports", answers.reports),
        Route("/studio/learning/reports/{name:path}", answers.report),
    ]


class _Answers:
    """What each endpoint answers with."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning

    def versions(self, _: Request) -> Response:
        """Cards, what serves and what is tried."""
        cards, wrong = self._learning.registry.scan()
        pointer, deleted = self._learning.registry.pointer(), self._learning.registry.deletions.since(cards)
        return JSONResponse(
            {
                "cards": {card.version: card.model_dump(mode="json", exclude={"files", "format"}) for card in cards},
                "deleted": {name: one.count for name, one in deleted.items() if one.count},
                "broken": [{"problem": error.problem, "remedy": error.remedy} for error in wrong],
                "serving": pointer.serving,
                "previous": pointer.previous[-1] if pointer.previous else None,
                "candidate": pointer.candidate,
                "share": pointer.share,
                "candidate_share": self._learning.candidate_share,
            }
        )

    def trial(self, _: Request) -> Response:
        """How the trial goes."""
        try:
            return JSONResponse(plain(asdict(self._learning.trial())))
        except TooLittleDataError as error:  # no failure: a trial begins so
            return JSONResponse({"too_little": error.problem})

    def begin_trial(self, request: Request) -> Response:
        """Try a version on a share of people."""
        asked = request.query_params.get("share", str(self._learning.candidate_share))
        try:
            share = float(asked)
        except ValueError:
            share = 0.0
        after = self._learning.registry.try_out(request.query_params.get("version", ""), share)
        return JSONResponse({"candidate": after.candidate, "share": after.share})

    def end_trial(self, _: Request) -> Response:
        """End the trial."""
        before, _after = self._learning.registry.change(lambda pointer: pointer.untried())
        return JSONResponse({"candidate": before.candidate})

    def curve(self, _: Request) -> Response:
        """How the training that runs, or the last, went."""
        epochs, written = self._learning.curve()
        return JSONResponse(plain({"epochs": epochs, "written": written}))

    def tuning(self, _: Request) -> Response:
        """The search of settings."""
        result = self._learning.tuning()
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

    def reports(self, _: Request) -> Response:
        """Those of `triveni evaluate`."""
        return JSONResponse({"reports": [asdict(report) for report in self._learning.reports()]})

    def report(self, request: Request) -> Response:
        """One of them."""
        return FileResponse(
            self._learning.report(request.path_params["name"]), media_type="text/html", headers=_REPORT
        )


def plain(value: Any) -> Any:
    """As JSON has it: times as text, what is no number as null."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
