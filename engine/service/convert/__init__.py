"""Between the messages of `triveni.v1` and the engine's types, in both directions; one file per .proto file."""

from engine.service.convert.queries import recommend_query, search_query
from engine.service.convert.results import recommend_response, search_response

__all__ = ["recommend_query", "recommend_response", "search_query", "search_response"]
