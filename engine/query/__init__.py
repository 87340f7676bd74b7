"""A request, from a query to recommendations: `pipeline` is the list of the stages, one file each beside it.

`reranker` and `models` say what a trained version does in it; `policy/` is what the deployment wants.
May import: `engine.events`, `engine.catalog` and what lies below.
"""
