"""Carries recorded migrations out on rows: composed into one pass over each collection."""
