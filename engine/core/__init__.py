"""What all rooms speak of: items, events, queries, results, filters, errors, deadlines.

No work is done here but checks of these.
May import: `encoders`.
"""
