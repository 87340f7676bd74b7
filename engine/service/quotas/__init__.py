"""How much each tenant may ask for: calls, and bytes of contents to encode, per second.

- `settings`: what the settings say of it
- `buckets`: token buckets, in this process
- `shared`: the same in Redis, for several servers
- `quotas`: what a call costs; it is refused, or a message of a stream waits
"""
