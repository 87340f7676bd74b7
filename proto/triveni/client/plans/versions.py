"""Versions of the model, and trainings."""

from __future__ import annotations

from datetime import datetime

from triveni.client import reading
from triveni.client.connection import Connection
from triveni.client.packing import PAGE
from triveni.client.plans.base import Call, Pause, Plan, Row, Rows
from triveni.client.results import Model, Switched, Training
from triveni.client.times import timestamp
from triveni.v1 import model_pb2


def models(self: Connection, *, timeout: float | None = None) -> Plan[list[Model]]:
    """The versions of the model, newest first.

    Args:
        timeout: seconds; None takes the client's.

    Raises:
        TriveniError: if the call fails.
    """
    found: list[Model] = []
    token, more = "", True
    while more:
        request = model_pb2.ListModelsRequest(page_size=PAGE, page_token=token)
        page = yield Call("ModelService/ListModels", request, model_pb2.ListModelsResponse, timeout)
        found += map(reading.model, page.models)
        token = page.next_page_token
        more = bool(token)
    return found


def model(self: Connection, version: str = "", *, timeout: float | None = None) -> Plan[Model]:
    """A version of the model.

    Args:
        version: its name; "" means the one that serves.
        timeout: seconds; None takes the client's.

    Raises:
        NotFoundError: if there is none.
        TriveniError: if the call fails otherwise.
    """
    request = model_pb2.GetModelRequest(version=version)
    answer = yield Call("ModelService/GetModel", request, model_pb2.GetModelResponse, timeout)
    return reading.model(answer.model)


def promote(self: Connection, version: str, *, timeout: float | None = None) -> Plan[Switched]:
    """Make a version serve, at once.

    Args:
        version: its name.
        timeout: seconds; None takes the client's.

    Raises:
        PreconditionError: if it is corrupt, of another space or of a newer format.
        TriveniError: if the call fails otherwise.
    """
    request = model_pb2.PromoteModelRequest(version=version)
    answer = yield Call("ModelService/PromoteModel", request, model_pb2.PromoteModelResponse, timeout)
    return reading.switched(answer)


def rollback(self: Connection, *, timeout: float | None = None) -> Plan[Switched]:
    """Make the version serve again that served before.

    Args:
        timeout: seconds; None takes the client's.

    Raises:
        PreconditionError: if none did.
        TriveniError: if the call fails otherwise.
    """
    answer = yield Call(
        "ModelService/RollbackModel", model_pb2.RollbackModelRequest(), model_pb2.RollbackModelResponse, timeout
    )
    return reading.switched(answer)


def train(
    self: Connection,
    *,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    promote: bool = False,
    seed: int | None = None,
    timeout: float | None = None,
) -> Plan[Training]:
    """Begin to train a version; `watch` tells how far it is.

    Args:
        since: events from this time; None means from the first.
        until: events before this time; None means now.
        promote: make it serve at once if it beats what serves.
        seed: makes the training repeatable.
        timeout: seconds; None takes the client's.

    Raises:
        PreconditionError: if the server does not train.
        TriveniError: if the call fails otherwise.
    """
    request = model_pb2.TrainModelRequest(
        data_start_time=timestamp(since, "since") if since is not None else None,
        data_end_time=timestamp(until, "until") if until is not None else None,
        promote=promote,
        seed=seed,
    )
    answer = yield Call("ModelService/TrainModel", request, model_pb2.TrainModelResponse, timeout)
    return reading.training(answer.training)


def training(self: Connection, training: str | Training, *, timeout: float | None = None) -> Plan[Training]:
    """A training, as it is now.

    Args:
        training: itself, or its id.
        timeout: seconds; None takes the client's.

    Raises:
        NotFoundError: if there is none.
        TriveniError: if the call fails otherwise.
    """
    request = model_pb2.GetTrainingRequest(training_id=_training_id(training))
    answer = yield Call("ModelService/GetTraining", request, model_pb2.GetTrainingResponse, timeout)
    return reading.training(answer.training)


def trainings(self: Connection, *, timeout: float | None = None) -> Plan[list[Training]]:
    """The trainings, newest first.

    Args:
        timeout: seconds; None takes the client's.

    Raises:
        TriveniError: if the call fails.
    """
    found: list[Training] = []
    token, more = "", True
    while more:
        request = model_pb2.ListTrainingsRequest(page_size=PAGE, page_token=token)
        page = yield Call("ModelService/ListTrainings", request, model_pb2.ListTrainingsResponse, timeout)
        found += map(reading.training, page.trainings)
        token = page.next_page_token
        more = bool(token)
    return found


def cancel(self: Connection, training: str | Training, *, timeout: float | None = None) -> Plan[Training]:
    """Stop a training. One that has ended is left as it is.

    Args:
        training: itself, or its id.
        timeout: seconds; None takes the client's.

    Raises:
        NotFoundError: if there is none.
        TriveniError: if the call fails otherwise.
    """
    request = model_pb2.CancelTrainingRequest(training_id=_training_id(training))
    answer = yield Call("ModelService/CancelTraining", request, model_pb2.CancelTrainingResponse, timeout)
    return reading.training(answer.training)


def watch(
    self: Connection, training: str | Training, *, every: float = 1.0, timeout: float | None = None
) -> Rows[Training]:
    """A training each time that it has gone on, until it has ended.

    Args:
        training: itself, or its id.
        every: seconds between two looks.
        timeout: seconds for each look; None takes the client's.

    Yields:
        The training, as it is then.

    Raises:
        NotFoundError: if there is none.
        TriveniError: if a call fails otherwise.
    """
    before = None
    while True:
        request = model_pb2.GetTrainingRequest(training_id=_training_id(training))
        answer = yield Call("ModelService/GetTraining", request, model_pb2.GetTrainingResponse, timeout)
        now = reading.training(answer.training)
        if now != before:
            yield Row(now)
        if now.done:
            return
        before = now
        yield Pause(every)


def _training_id(training: str | Training) -> str:
    return training.id if isinstance(training, Training) else training
