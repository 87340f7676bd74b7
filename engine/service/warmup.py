"""A first real inference of every modality, so that "ready" means it."""

from encoders.errors import TriveniError
from encoders.samples import sample
from encoders.space import Space
from engine.deadline import Deadline
from engine.encoding import ContentEncoder
from engine.pipeline import Engine
from engine.types import Query, QueryPart


def warm_up(engine: Engine, encoder: ContentEncoder, space: Space) -> None:
    """Encode a content of every modality, and answer a query of each and one for a person without history.

    Raises:
        TriveniError: if any of it fails.
    """
    contents = [sample(modality) for modality in space.modalities]
    for result in encoder.encode(contents, Deadline()):
        if isinstance(result, TriveniError):
            raise result
    for content in contents:
        engine.recommend(Query(parts=(QueryPart(content),), limit=1), Deadline())
    engine.recommend(Query(limit=1), Deadline())
