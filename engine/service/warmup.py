"""A first real inference of every modality, so that "ready" means it."""

from encoders.errors import TriveniError
from encoders.networks.samples import sample
from encoders.spaces.space import Space
from engine.core.deadline import Deadline
from engine.core.types import Query, QueryPart
from engine.encode.encoding import ContentEncoder
from engine.query.pipeline import Engine


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
