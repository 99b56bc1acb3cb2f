//! Python's repr of text and bytes, which messages contain.
