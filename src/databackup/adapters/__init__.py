"""Repositories over kinds of stores."""
