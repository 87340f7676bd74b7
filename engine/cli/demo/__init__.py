"""The demo: a real catalogue, from download to a page of results."""
