"""Texts that a page has to show unchanged."""

from hypothesis import strategies as st

EVIL = "\"'><script>alert(1)</script>&amp;{{ 7 * 7 }}{% for x in y %}{# z #}"
TEXTS = st.text(st.characters(exclude_characters="\0\r"), min_size=1)
"""HTML cannot represent NUL, and treats a carriage return as a line break."""
