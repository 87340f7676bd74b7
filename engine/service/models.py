"""ModelService."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from engine.core.errors import NotFoundError
from engine.learn.jobs.trainings import Trainings
from engine.models.errors import ModelError
from engine.models.serving import Serving
from engine.service.calls import Context, current_call
from engine.service.convert.fields import plain, time_of
from engine.service.convert.models import model_message, training_message
from engine.service.paging import cursor_of, page_size, page_token
from engine.service.work import Workers, deadline_of
from triveni.v1 import model_pb2, model_pb2_grpc

_Answer = TypeVar("_Answer")
_Row = TypeVar("_Row")


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """Versions of the model, and trainings.

    Args:
        serving: what serves; None where the server was given no registry.
        trainings: what trains; None with `serving`.
        workers: where the work is done: reading cards, loading models.
    """

    def __init__(self, serving: Serving | None, trainings: Trainings | None, workers: Workers) -> None:
        self._given_serving, self._given_trainings, self._workers = serving, trainings, workers

    @property
    def _serving(self) -> Serving:
        if self._given_serving is None:
            raise ModelError("this server has no registry of models", "start it with `triveni serve`")
        return self._given_serving

    @property
    def _trainings(self) -> Trainings:
        if self._given_trainings is None:
            raise ModelError("this server does not train", "start `triveni serve` where triveni[train] is installed")
        return self._given_trainings

    async def ListModels(  # noqa: N802
        self, request: model_pb2.ListModelsRequest, context: Context
    ) -> model_pb2.ListModelsResponse:
        """The versions of the model; those whose cards are broken are left out."""
        return await self._run(lambda: self._list_models(request), context)

    def _list_models(self, request: model_pb2.ListModelsRequest) -> model_pb2.ListModelsResponse:
        cards, _ = self._serving.registry.scan()
        page, token = _page(cards, lambda card: card.order, request.page_size, request.page_token, b"models")
        serving, deleted = self._serving.version, self._serving.registry.deletions.since(page)
        return model_pb2.ListModelsResponse(
            models=[model_message(card, serving, deleted[card.version]) for card in page], next_page_token=token
        )

    async def GetModel(  # noqa: N802
        self, request: model_pb2.GetModelRequest, context: Context
    ) -> model_pb2.GetModelResponse:
        """One version."""

        def get() -> model_pb2.GetModelResponse:
            version = plain(request.version, "version") or self._serving.version
            if not version:
                raise NotFoundError("no model version serves", "promote one, or name a version", field="version")
            return model_pb2.GetModelResponse(model=self._model(version))

        return await self._run(get, context)

    async def PromoteModel(  # noqa: N802
        self, request: model_pb2.PromoteModelRequest, context: Context
    ) -> model_pb2.PromoteModelResponse:
        """Make a version serve."""

        def promote() -> model_pb2.PromoteModelResponse:
            version = plain(request.version, "version")
            before = self._serving.promote(version)
            return model_pb2.PromoteModelResponse(model=self._model(version), previous_version=before)

        return await self._run(promote, context)

    async def RollbackModel(  # noqa: N802
        self, request: model_pb2.RollbackModelRequest, context: Context
    ) -> model_pb2.RollbackModelResponse:
        """Make the version before serve again."""

        def rollback() -> model_pb2.RollbackModelResponse:
            before = self._serving.rollback()
            now = self._serving.version
            return model_pb2.RollbackModelResponse(model=self._model(now) if now else None, previous_version=before)

        return await self._run(rollback, context)

    def _model(self, version: str) -> model_pb2.Model:
        registry = self._serving.registry
        card = registry.card(version)
        return model_message(card, self._serving.version, registry.deletions.since([card])[version])

    async def TrainModel(  # noqa: N802
        self, request: model_pb2.TrainModelRequest, context: Context
    ) -> model_pb2.TrainModelResponse:
        """Begin to train a version."""

        def train() -> model_pb2.TrainModelResponse:
            training = self._trainings.start(
                time_of(request.data_start_time, "data_start_time") if request.HasField("data_start_time") else None,
                time_of(request.data_end_time, "data_end_time") if request.HasField("data_end_time") else None,
                promote=request.promote,
                seed=request.seed if request.HasField("seed") else None,
            )
            return model_pb2.TrainModelResponse(training=training_message(training))

        response = await self._run(train, context)
        current_call().notes["training"] = response.training.id
        return response

    async def GetTraining(  # noqa: N802
        self, request: model_pb2.GetTrainingRequest, context: Context
    ) -> model_pb2.GetTrainingResponse:
        """A training and its progress."""

        def get() -> model_pb2.GetTrainingResponse:
            training = self._trainings.get(plain(request.training_id, "training_id"))
            return model_pb2.GetTrainingResponse(training=training_message(training))

        return await self._run(get, context)

    async def ListTrainings(  # noqa: N802
        self, request: model_pb2.ListTrainingsRequest, context: Context
    ) -> model_pb2.ListTrainingsResponse:
        """The trainings."""

        def list_trainings() -> model_pb2.ListTrainingsResponse:
            page, token = _page(
                self._trainings.all(), lambda one: one.id, request.page_size, request.page_token, b"trainings"
            )
            return model_pb2.ListTrainingsResponse(trainings=map(training_message, page), next_page_token=token)

        return await self._run(list_trainings, context)

    async def CancelTraining(  # noqa: N802
        self, request: model_pb2.CancelTrainingRequest, context: Context
    ) -> model_pb2.CancelTrainingResponse:
        """Stop a training."""

        def cancel() -> model_pb2.CancelTrainingResponse:
            training = self._trainings.cancel(plain(request.training_id, "training_id"))
            return model_pb2.CancelTrainingResponse(training=training_message(training))

        return await self._run(cancel, context)

    async def _run(self, work: Callable[[], _Answer], context: Context) -> _Answer:
        return await self._workers.run(work, deadline_of(context))


def _page(
    rows: Sequence[_Row], key: Callable[[_Row], str], size: int, token: str, of_list: bytes
) -> tuple[Sequence[_Row], str]:
    """A page of rows whose keys fall, and the token of the next one."""
    count = page_size(size)
    after = cursor_of(token, of_list)
    left = rows if after is None else [row for row in rows if key(row) < after]
    page = left[:count]
    return page, page_token(key(page[-1]) if len(left) > count else None, of_list)
