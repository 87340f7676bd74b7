from google.api import annotations_pb2 as _annotations_pb2
from triveni.v1 import content_pb2 as _content_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EncodeRequest(_message.Message):
    __slots__ = ("contents",)
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    contents: _containers.RepeatedCompositeFieldContainer[_content_pb2.Content]
    def __init__(self, contents: _Optional[_Iterable[_Union[_content_pb2.Content, _Mapping]]] = ...) -> None: ...

class EncodeResponse(_message.Message):
    __slots__ = ("vectors", "rows", "dimension", "fingerprint", "content_indexes", "rejected")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_INDEXES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    vectors: bytes
    rows: int
    dimension: int
    fingerprint: str
    content_indexes: _containers.RepeatedScalarFieldContainer[int]
    rejected: _containers.RepeatedCompositeFieldContainer[RejectedContent]
    def __init__(self, vectors: _Optional[bytes] = ..., rows: _Optional[int] = ..., dimension: _Optional[int] = ..., fingerprint: _Optional[str] = ..., content_indexes: _Optional[_Iterable[int]] = ..., rejected: _Optional[_Iterable[_Union[RejectedContent, _Mapping]]] = ...) -> None: ...

class RejectedContent(_message.Message):
    __slots__ = ("index", "problem")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    index: int
    problem: _content_pb2.Problem
    def __init__(self, index: _Optional[int] = ..., problem: _Optional[_Union[_content_pb2.Problem, _Mapping]] = ...) -> None: ...
