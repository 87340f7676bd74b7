"""Files and bytes into texts, pixels and samples, under limits.

Foreign bytes are opened here alone, pictures and sounds in processes of their own. `decode` is the door.
May import: the types and errors of `encoders`.
"""
