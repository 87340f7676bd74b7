import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from triveni.v1 import content_pb2 as _content_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Item(_message.Message):
    __slots__ = ("id", "contents", "payload")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    id: str
    contents: _containers.RepeatedCompositeFieldContainer[_content_pb2.Content]
    payload: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., contents: _Optional[_Iterable[_Union[_content_pb2.Content, _Mapping]]] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class StoredItem(_message.Message):
    __slots__ = ("id", "modalities", "payload", "text", "image_path", "audio_path", "digest", "index_time", "vectors", "image_paths", "audio_paths")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    AUDIO_PATH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    INDEX_TIME_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PATHS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_PATHS_FIELD_NUMBER: _ClassVar[int]
    id: str
    modalities: _containers.RepeatedScalarFieldContainer[_content_pb2.Modality]
    payload: _struct_pb2.Struct
    text: str
    image_path: str
    audio_path: str
    digest: str
    index_time: _timestamp_pb2.Timestamp
    vectors: _containers.RepeatedCompositeFieldContainer[_content_pb2.Vector]
    image_paths: _containers.RepeatedScalarFieldContainer[str]
    audio_paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., modalities: _Optional[_Iterable[_Union[_content_pb2.Modality, str]]] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., text: _Optional[str] = ..., image_path: _Optional[str] = ..., audio_path: _Optional[str] = ..., digest: _Optional[str] = ..., index_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., vectors: _Optional[_Iterable[_Union[_content_pb2.Vector, _Mapping]]] = ..., image_paths: _Optional[_Iterable[str]] = ..., audio_paths: _Optional[_Iterable[str]] = ...) -> None: ...
