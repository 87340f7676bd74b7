"""Content to vectors in one space: text, pictures and sounds."""
