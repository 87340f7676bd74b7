"""Training of the networks: the reranker, the small one distilled from it, and the learned query vector."""
