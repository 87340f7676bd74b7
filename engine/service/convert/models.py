"""model.proto: versions and trainings, to the client."""

from google.protobuf import duration_pb2

from engine.learn.jobs.training_list import Training, TrainingState
from engine.learn.jobs.worker import Failure
from engine.models.card import ModelCard
from engine.models.deletions import Deleted
from engine.service.convert.fields import timestamp
from engine.service.status import reason_named, shorten
from triveni.v1 import content_pb2, model_pb2

_STATES = {state: model_pb2.TrainingState.Value(f"TRAINING_STATE_{state.name}") for state in TrainingState}


def model_message(card: ModelCard, serving: str, deleted: Deleted) -> model_pb2.Model:
    """A version.

    Args:
        card: its card.
        serving: the version that serves.
        deleted: people whom it may have learned from.
    """
    return model_pb2.Model(
        version=card.version,
        serving=card.version == serving,
        create_time=timestamp(card.created),
        fingerprint=card.fingerprint,
        data_start_time=timestamp(card.data_from) if card.data_from else None,
        data_end_time=timestamp(card.data_until) if card.data_until else None,
        metrics=card.metrics,
        baseline_metrics=card.baseline_metrics,
        deleted_people=deleted.count,
        last_deletion_time=timestamp(deleted.last) if deleted.last else None,
    )


def training_message(training: Training) -> model_pb2.Training:
    """A training, as it is now."""
    return model_pb2.Training(
        id=training.id,
        state=_STATES[training.state],  # type: ignore[arg-type]
        progress=training.progress,
        stage=shorten(training.stage),
        start_time=timestamp(training.started) if training.started else None,
        end_time=timestamp(training.ended) if training.ended else None,
        model_version=training.version,
        problem=_problem(training.failure) if training.failure else None,
        time_left=None if training.left is None else duration_pb2.Duration(seconds=round(training.left)),
    )


def _problem(failure: Failure) -> content_pb2.Problem:
    return content_pb2.Problem(
        status=failure.status,
        reason=reason_named(failure.kind),
        message=shorten(failure.problem),
        remedy=shorten(failure.remedy),
    )
