from google.api import annotations_pb2 as _annotations_pb2
from triveni.v1 import content_pb2 as _content_pb2
from triveni.v1 import filter_pb2 as _filter_pb2
from triveni.v1 import item_pb2 as _item_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UpsertOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UPSERT_OUTCOME_UNSPECIFIED: _ClassVar[UpsertOutcome]
    UPSERT_OUTCOME_STORED: _ClassVar[UpsertOutcome]
    UPSERT_OUTCOME_UNCHANGED: _ClassVar[UpsertOutcome]
    UPSERT_OUTCOME_REJECTED: _ClassVar[UpsertOutcome]
UPSERT_OUTCOME_UNSPECIFIED: UpsertOutcome
UPSERT_OUTCOME_STORED: UpsertOutcome
UPSERT_OUTCOME_UNCHANGED: UpsertOutcome
UPSERT_OUTCOME_REJECTED: UpsertOutcome

class UpsertItemsRequest(_message.Message):
    __slots__ = ("item", "strict")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    item: _item_pb2.Item
    strict: bool
    def __init__(self, item: _Optional[_Union[_item_pb2.Item, _Mapping]] = ..., strict: _Optional[bool] = ...) -> None: ...

class UpsertItemsResponse(_message.Message):
    __slots__ = ("index", "item_id", "outcome", "problem", "missing", "thinned")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    THINNED_FIELD_NUMBER: _ClassVar[int]
    index: int
    item_id: str
    outcome: UpsertOutcome
    problem: _content_pb2.Problem
    missing: _containers.RepeatedCompositeFieldContainer[_content_pb2.Problem]
    thinned: bool
    def __init__(self, index: _Optional[int] = ..., item_id: _Optional[str] = ..., outcome: _Optional[_Union[UpsertOutcome, str]] = ..., problem: _Optional[_Union[_content_pb2.Problem, _Mapping]] = ..., missing: _Optional[_Iterable[_Union[_content_pb2.Problem, _Mapping]]] = ..., thinned: _Optional[bool] = ...) -> None: ...

class GetItemRequest(_message.Message):
    __slots__ = ("item_id", "include_vectors")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_VECTORS_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    include_vectors: bool
    def __init__(self, item_id: _Optional[str] = ..., include_vectors: _Optional[bool] = ...) -> None: ...

class GetItemResponse(_message.Message):
    __slots__ = ("item", "fingerprint")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    item: _item_pb2.StoredItem
    fingerprint: str
    def __init__(self, item: _Optional[_Union[_item_pb2.StoredItem, _Mapping]] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class ListItemsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "include_vectors")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_VECTORS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: _filter_pb2.Filter
    include_vectors: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., include_vectors: _Optional[bool] = ...) -> None: ...

class ListItemsResponse(_message.Message):
    __slots__ = ("items", "next_page_token", "fingerprint")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.StoredItem]
    next_page_token: str
    fingerprint: str
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.StoredItem, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class DeleteItemsRequest(_message.Message):
    __slots__ = ("item_ids",)
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, item_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteItemsResponse(_message.Message):
    __slots__ = ("deleted_count",)
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...
