"""The wire contract of Triveni: `triveni.v1` holds the .proto files and the Python generated from them."""
