"""The gRPC service: the wire contract `triveni.v1` in front of the engine.

`convert/` alone turns messages into our types and back; one file per servicer.
May import: `engine.learn` and what lies below, and the generated code.
"""
