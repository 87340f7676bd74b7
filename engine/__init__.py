"""Queries to recommendations: fuse, retrieve, rerank, policy; stores, service and command line."""
