"""The networks: one encoder per modality, and where their weights come from.

Each is an `Encoder` (`encoders.encoder`): prepared content in, features out.
May import: `encoders.decoding`, and the types and errors of `encoders`.
"""
