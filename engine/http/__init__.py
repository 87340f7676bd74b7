"""The HTTP/JSON door: every RPC of the wire contract over HTTP, one to one from its annotation.

- `bindings`: which HTTP request is which RPC, read from the annotations of the proto files
- `messages`: JSON, query and path into a message, and a message into JSON
- `body`, `answer`: what comes and what goes back, whole, in parts or line by line, under limits
- `calls`: a call through gRPC: unary and streams, deadlines, clients that go away
- `errors`, `problems`: what goes wrong, as application/problem+json (RFC 9457)
- `guard`: what a page of another site must not do: hosts, origins, headers
- `openapi`, `pages`: the OpenAPI document with the comments of the proto files, and a page to try it
- `app`, `server`: all of it as one Starlette app, in the event loop of the gRPC server
"""
