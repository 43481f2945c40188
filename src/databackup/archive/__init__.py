"""Bytes to rows and back: the archive, format 1. It knows no store.

The normative text is docs/reference/archive-format.md.
"""
