"""Texts that a page has to show as they are."""

from hypothesis import strategies as st

EVIL = "\"'><script>alert(1)</script>&amp;"
TEXTS = st.text(st.characters(exclude_characters="\0\r"), min_size=1)
"""HTML has no NUL, and a carriage return is a line break there."""
