"""The gRPC service: the wire contract of `triveni.v1` in front of the engine."""
