"""Completion of words by shells, and manual pages, made from the parsers and the flag table."""
