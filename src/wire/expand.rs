//! Expansion of `%(name)s` in the style of Python's % operator (C-60 to C-64).
