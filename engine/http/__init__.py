"""The HTTP/JSON door: every RPC of the wire contract over HTTP, one to one from its annotation.

bindings   which HTTP request is which RPC, read from the annotations of the proto files
messages   JSON, query and path into a message, and a message into JSON
body       a request's body under limits: whole, in parts (multipart), or line by line
calls      a call through gRPC: unary and streams, deadlines, clients that go away
problems   errors as application/problem+json (RFC 9457)
guard      what a page of another site must not do: hosts, origins, headers
openapi    the OpenAPI document, with the comments of the proto files
app        all of it as one Starlette app
server     that app in the event loop of the gRPC server
"""
