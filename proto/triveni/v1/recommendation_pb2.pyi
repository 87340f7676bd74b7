import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from triveni.v1 import content_pb2 as _content_pb2
from triveni.v1 import event_pb2 as _event_pb2
from triveni.v1 import filter_pb2 as _filter_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReasonKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_KIND_UNSPECIFIED: _ClassVar[ReasonKind]
    REASON_KIND_QUERY: _ClassVar[ReasonKind]
    REASON_KIND_EVENT: _ClassVar[ReasonKind]
    REASON_KIND_POPULAR: _ClassVar[ReasonKind]
    REASON_KIND_FRESH: _ClassVar[ReasonKind]
    REASON_KIND_LEARNED: _ClassVar[ReasonKind]
REASON_KIND_UNSPECIFIED: ReasonKind
REASON_KIND_QUERY: ReasonKind
REASON_KIND_EVENT: ReasonKind
REASON_KIND_POPULAR: ReasonKind
REASON_KIND_FRESH: ReasonKind
REASON_KIND_LEARNED: ReasonKind

class QueryPart(_message.Message):
    __slots__ = ("content", "item_id", "vector", "weight")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    content: _content_pb2.Content
    item_id: str
    vector: _content_pb2.Vector
    weight: float
    def __init__(self, content: _Optional[_Union[_content_pb2.Content, _Mapping]] = ..., item_id: _Optional[str] = ..., vector: _Optional[_Union[_content_pb2.Vector, _Mapping]] = ..., weight: _Optional[float] = ...) -> None: ...

class PolicyOptions(_message.Message):
    __slots__ = ("exclude_item_ids", "include_seen", "diversity", "max_per_value", "min_score", "max_false_positive_rate")
    class MaxPerValueEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_VALUE_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_FALSE_POSITIVE_RATE_FIELD_NUMBER: _ClassVar[int]
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    include_seen: bool
    diversity: float
    max_per_value: _containers.ScalarMap[str, int]
    min_score: float
    max_false_positive_rate: float
    def __init__(self, exclude_item_ids: _Optional[_Iterable[str]] = ..., include_seen: _Optional[bool] = ..., diversity: _Optional[float] = ..., max_per_value: _Optional[_Mapping[str, int]] = ..., min_score: _Optional[float] = ..., max_false_positive_rate: _Optional[float] = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "parts", "history", "filter", "limit", "modalities", "policy", "context", "trace", "model", "half_life", "page_token")
    class ContextEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    parts: _containers.RepeatedCompositeFieldContainer[QueryPart]
    history: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    filter: _filter_pb2.Filter
    limit: int
    modalities: _containers.RepeatedScalarFieldContainer[_content_pb2.Modality]
    policy: PolicyOptions
    context: _containers.ScalarMap[str, str]
    trace: bool
    model: str
    half_life: _duration_pb2.Duration
    page_token: str
    def __init__(self, user_id: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[QueryPart, _Mapping]]] = ..., history: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., limit: _Optional[int] = ..., modalities: _Optional[_Iterable[_Union[_content_pb2.Modality, str]]] = ..., policy: _Optional[_Union[PolicyOptions, _Mapping]] = ..., context: _Optional[_Mapping[str, str]] = ..., trace: _Optional[bool] = ..., model: _Optional[str] = ..., half_life: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., page_token: _Optional[str] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("results", "request_id", "fingerprint", "model", "tier", "skipped", "compared_model", "stages", "interests", "next_page_token", "no_match")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    COMPARED_MODEL_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    INTERESTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NO_MATCH_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Recommendation]
    request_id: str
    fingerprint: str
    model: str
    tier: str
    skipped: _containers.RepeatedCompositeFieldContainer[SkippedEvent]
    compared_model: str
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    interests: _containers.RepeatedCompositeFieldContainer[Interest]
    next_page_token: str
    no_match: bool
    def __init__(self, results: _Optional[_Iterable[_Union[Recommendation, _Mapping]]] = ..., request_id: _Optional[str] = ..., fingerprint: _Optional[str] = ..., model: _Optional[str] = ..., tier: _Optional[str] = ..., skipped: _Optional[_Iterable[_Union[SkippedEvent, _Mapping]]] = ..., compared_model: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., interests: _Optional[_Iterable[_Union[Interest, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., no_match: _Optional[bool] = ...) -> None: ...

class Interest(_message.Message):
    __slots__ = ("weight", "events", "nearest_item_ids")
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEAREST_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    weight: float
    events: _containers.RepeatedCompositeFieldContainer[Reason]
    nearest_item_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, weight: _Optional[float] = ..., events: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., nearest_item_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("name", "count", "duration")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    duration: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Recommendation(_message.Message):
    __slots__ = ("item_id", "score", "rank", "payload", "reasons", "image_path", "audio_path", "text", "propensity", "relevance")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    AUDIO_PATH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    score: float
    rank: int
    payload: _struct_pb2.Struct
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    image_path: str
    audio_path: str
    text: str
    propensity: float
    relevance: float
    def __init__(self, item_id: _Optional[str] = ..., score: _Optional[float] = ..., rank: _Optional[int] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., image_path: _Optional[str] = ..., audio_path: _Optional[str] = ..., text: _Optional[str] = ..., propensity: _Optional[float] = ..., relevance: _Optional[float] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("kind", "index", "modality", "share", "event_id", "modality_shares", "words_share", "words", "part")
    KIND_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    MODALITY_SHARES_FIELD_NUMBER: _ClassVar[int]
    WORDS_SHARE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    kind: ReasonKind
    index: int
    modality: _content_pb2.Modality
    share: float
    event_id: str
    modality_shares: _containers.RepeatedScalarFieldContainer[float]
    words_share: float
    words: _containers.RepeatedScalarFieldContainer[str]
    part: ItemPart
    def __init__(self, kind: _Optional[_Union[ReasonKind, str]] = ..., index: _Optional[int] = ..., modality: _Optional[_Union[_content_pb2.Modality, str]] = ..., share: _Optional[float] = ..., event_id: _Optional[str] = ..., modality_shares: _Optional[_Iterable[float]] = ..., words_share: _Optional[float] = ..., words: _Optional[_Iterable[str]] = ..., part: _Optional[_Union[ItemPart, _Mapping]] = ...) -> None: ...

class ItemPart(_message.Message):
    __slots__ = ("index", "path", "text", "start", "end", "passage", "start_seconds", "end_seconds")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_FIELD_NUMBER: _ClassVar[int]
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    index: int
    path: str
    text: str
    start: int
    end: int
    passage: int
    start_seconds: float
    end_seconds: float
    def __init__(self, index: _Optional[int] = ..., path: _Optional[str] = ..., text: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., passage: _Optional[int] = ..., start_seconds: _Optional[float] = ..., end_seconds: _Optional[float] = ...) -> None: ...

class SkippedEvent(_message.Message):
    __slots__ = ("index", "reason", "event_id")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: str
    event_id: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[str] = ..., event_id: _Optional[str] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("parts", "filter", "limit", "modalities", "policy", "trace", "model", "page_token")
    PARTS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[QueryPart]
    filter: _filter_pb2.Filter
    limit: int
    modalities: _containers.RepeatedScalarFieldContainer[_content_pb2.Modality]
    policy: PolicyOptions
    trace: bool
    model: str
    page_token: str
    def __init__(self, parts: _Optional[_Iterable[_Union[QueryPart, _Mapping]]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., limit: _Optional[int] = ..., modalities: _Optional[_Iterable[_Union[_content_pb2.Modality, str]]] = ..., policy: _Optional[_Union[PolicyOptions, _Mapping]] = ..., trace: _Optional[bool] = ..., model: _Optional[str] = ..., page_token: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("results", "request_id", "fingerprint", "model", "tier", "compared_model", "stages", "next_page_token", "no_match")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    COMPARED_MODEL_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NO_MATCH_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Recommendation]
    request_id: str
    fingerprint: str
    model: str
    tier: str
    compared_model: str
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    next_page_token: str
    no_match: bool
    def __init__(self, results: _Optional[_Iterable[_Union[Recommendation, _Mapping]]] = ..., request_id: _Optional[str] = ..., fingerprint: _Optional[str] = ..., model: _Optional[str] = ..., tier: _Optional[str] = ..., compared_model: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., no_match: _Optional[bool] = ...) -> None: ...
