"""The page of the wire contract: services, messages and comments, from a descriptor set with source information."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from engine.core.errors import SettingsError

Field = descriptor_pb2.FieldDescriptorProto
HEAD = """# The wire contract

Package `triveni.v1`, in `proto/triveni/v1/`. `make check` refuses a change that breaks clients. Errors carry
`google.rpc.ErrorInfo` with a reason and a remedy, `BadRequest` with the field at fault, and `RetryInfo` where trying
again may help. Most callers want [the client](client.md) instead.
"""
SERVICES, MESSAGES, ENUMS, METHODS, FIELDS, VALUES = 6, 4, 5, 2, 2, 2
"""Numbers of fields in descriptors, which paths of source information are made of."""


def described(folder: Path) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files of the contract with their comments.

    Args:
        folder: the import root of the contract.

    Raises:
        SettingsError: if protoc refuses them.
    """
    files = sorted(str(path.relative_to(folder)) for path in (folder / "triveni" / "v1").glob("*.proto"))
    builtin = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "contract.binpb"
        flags = ["protoc", f"-I{folder}", f"-I{builtin}", "--include_source_info", f"--descriptor_set_out={out}"]
        if protoc.main([*flags, *files]):
            raise SettingsError(f"protoc refused {', '.join(files)}", "run `make proto`, which says why")
        return list(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


def proto_page(folder: Path) -> str:
    """All services first, then messages and enumerations by file, in Markdown."""
    files = described(folder)
    lines = [HEAD]
    for file in files:
        for number, service in enumerate(file.service):
            lines += _service(file, number, service)
    for file in files:
        if file.message_type or file.enum_type:
            lines.append(f"\n## {file.name.removeprefix('triveni/v1/')} {{#file-{Path(file.name).stem}}}\n")
        for number, message in enumerate(file.message_type):
            lines += _message(file, (MESSAGES, number), message)
        for number, enum in enumerate(file.enum_type):
            lines += _enum(file, (ENUMS, number), enum)
    return "\n".join(lines)


def _service(
    file: descriptor_pb2.FileDescriptorProto, number: int, service: descriptor_pb2.ServiceDescriptorProto
) -> Iterator[str]:
    told = _comments(file)
    yield f"\n## {service.name} {{#{service.name}}}\n\n{told.get((SERVICES, number), '')}\n"
    yield "| method | takes → gives | |\n|---|---|---|"
    for at, method in enumerate(service.method):
        text = told.get((SERVICES, number, METHODS, at), "")
        takes = ("stream of " if method.client_streaming else "") + _link(method.input_type)
        gives = ("stream of " if method.server_streaming else "") + _link(method.output_type)
        yield f"| `{method.name}`{_http(method)} | {takes} → {gives} | {text} |"


def _http(method: descriptor_pb2.MethodDescriptorProto) -> str:
    rule = method.options.Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return f"<br>`{verb.upper()} {getattr(rule, verb)}`" if verb and verb != "custom" else ""


def _message(
    file: descriptor_pb2.FileDescriptorProto, path: tuple[int, ...], message: descriptor_pb2.DescriptorProto
) -> Iterator[str]:
    told = _comments(file)
    yield f"\n### {message.name} {{#{message.name}}}\n\n{told.get(path, '')}\n"
    maps = {one.name: one for one in message.nested_type if one.options.map_entry}
    if message.field:
        yield "| field | type | |\n|---|---|---|"
    for at, field in enumerate(message.field):
        text = told.get((*path, FIELDS, at), "")
        if field.HasField("oneof_index") and not field.proto3_optional:
            text = f"(one of `{message.oneof_decl[field.oneof_index].name}`) {text}"
        yield f"| `{field.name}` = {field.number} | {_type(field, maps)} | {text} |"


def _enum(
    file: descriptor_pb2.FileDescriptorProto, path: tuple[int, ...], enum: descriptor_pb2.EnumDescriptorProto
) -> Iterator[str]:
    told = _comments(file)
    yield f"\n### {enum.name} {{#{enum.name}}}\n\n{told.get(path, '')}\n\n| value | |\n|---|---|"
    for at, value in enumerate(enum.value):
        yield f"| `{value.name}` = {value.number} | {told.get((*path, VALUES, at), '')} |"


def _comments(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    places = file.source_code_info.location
    return {tuple(one.path): " ".join(one.leading_comments.split()).replace("|", "\\|") for one in places}


def _type(field: Field, maps: dict[str, descriptor_pb2.DescriptorProto]) -> str:
    entry = maps.get(field.type_name.rpartition(".")[2])
    if entry:
        return f"map of {_type(entry.field[0], {})} to {_type(entry.field[1], {})}"
    kind = _link(field.type_name) if field.type_name else f"`{Field.Type.Name(field.type)[5:].lower()}`"
    if field.label == Field.LABEL_REPEATED:
        return f"list of {kind}"
    return f"{kind}, optional" if field.proto3_optional else kind


def _link(name: str) -> str:
    short = name.rpartition(".")[2]
    return f"[{short}](#{short})" if name.startswith(".triveni.v1.") else f"`{name.removeprefix('.')}`"
