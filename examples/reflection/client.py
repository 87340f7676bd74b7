"""Calls an RPC of a gRPC server by its name, with JSON, and with no generated code: the server describes itself."""

import argparse
import json
from collections.abc import Iterator

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def methods(channel: grpc.Channel) -> Iterator[MethodDescriptor]:
    """All RPCs of a server."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    for service in sorted(database.get_services()):
        yield from pool.FindServiceByName(service).methods


def call(channel: grpc.Channel, method: MethodDescriptor, requests: list[dict[str, object]]) -> Iterator[str]:
    """Call an RPC of any kind; its answers as JSON."""
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    ask = kinds[method.client_streaming, method.server_streaming](
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    messages = [json_format.ParseDict(one, GetMessageClass(method.input_type)()) for one in requests]
    answer = ask(iter(messages) if method.client_streaming else messages[0], timeout=30)
    for message in answer if method.server_streaming else [answer]:
        yield json_format.MessageToJson(message, preserving_proto_field_name=True)


def main() -> None:
    """List the RPCs, or call one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="HOST:PORT")
    parser.add_argument("method", nargs="?", help="package.Service/Method; without it, all are listed")
    parser.add_argument("requests", nargs="*", type=json.loads, help="JSON; several for a stream")
    given = parser.parse_args()
    with grpc.insecure_channel(given.address) as channel:
        found = {f"{one.containing_service.full_name}/{one.name}": one for one in methods(channel)}
        if given.method is None:
            print("\n".join(found))
        elif given.method not in found:
            parser.error(f"there is no {given.method}; there are {', '.join(found)}")
        else:
            for text in call(channel, found[given.method], given.requests or [{}]):
                print(text)


if __name__ == "__main__":
    main()
