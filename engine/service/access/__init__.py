"""Who may do what: decided once for every call, whichever door it comes through.

- `caller`: who calls, in which tenant, and what they may do
- `scopes`: which scope a method needs
- `access`: from what came with a call to its caller, or a refusal
"""
