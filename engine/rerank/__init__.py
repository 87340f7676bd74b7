"""A trained version at work: features, network, counts, learned query vector.

`served` loads a version; `features` says what the network sees.
May import: `engine.models` and what lies below.
"""
