"""ModelService."""

from typing import NoReturn

from engine.service.calls import Context
from engine.service.status import NotImplementedYetError
from triveni.v1 import model_pb2, model_pb2_grpc


def _refuse(method: str) -> NoReturn:
    raise NotImplementedYetError(
        f"{method} is not implemented in this release",
        "Recommend ranks without training; its response says so in `model`",
    )


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """The contract is fixed, training comes later: every method says so."""

    async def ListModels(  # noqa: N802
        self, request: model_pb2.ListModelsRequest, context: Context
    ) -> model_pb2.ListModelsResponse:
        """The versions of the model."""
        _refuse("ListModels")

    async def GetModel(  # noqa: N802
        self, request: model_pb2.GetModelRequest, context: Context
    ) -> model_pb2.GetModelResponse:
        """One version."""
        _refuse("GetModel")

    async def PromoteModel(  # noqa: N802
        self, request: model_pb2.PromoteModelRequest, context: Context
    ) -> model_pb2.PromoteModelResponse:
        """Make a version serve."""
        _refuse("PromoteModel")

    async def RollbackModel(  # noqa: N802
        self, request: model_pb2.RollbackModelRequest, context: Context
    ) -> model_pb2.RollbackModelResponse:
        """Make the version before serve again."""
        _refuse("RollbackModel")

    async def TrainModel(  # noqa: N802
        self, request: model_pb2.TrainModelRequest, context: Context
    ) -> model_pb2.TrainModelResponse:
        """Begin to train a version."""
        _refuse("TrainModel")

    async def GetTraining(  # noqa: N802
        self, request: model_pb2.GetTrainingRequest, context: Context
    ) -> model_pb2.GetTrainingResponse:
        """A training and its progress."""
        _refuse("GetTraining")

    async def ListTrainings(  # noqa: N802
        self, request: model_pb2.ListTrainingsRequest, context: Context
    ) -> model_pb2.ListTrainingsResponse:
        """The trainings."""
        _refuse("ListTrainings")

    async def CancelTraining(  # noqa: N802
        self, request: model_pb2.CancelTrainingRequest, context: Context
    ) -> model_pb2.CancelTrainingResponse:
        """Stop a training."""
        _refuse("CancelTraining")
