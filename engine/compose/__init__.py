"""Where the parts are put together from the settings.

- `engine`: what answers queries, over an open store
- `tenant`: what belongs to one tenant, opened
- `page`: what Triveni Studio shows
- `doors`: how a server listens, and whom it lets in
"""
