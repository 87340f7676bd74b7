"""Catalogue files to items to vectors in the store."""
