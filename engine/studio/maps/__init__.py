"""The catalogue in two dimensions: made by a process of its own, kept in a file, told to the page."""
