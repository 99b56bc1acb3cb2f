//! The tokeniser of `environment=` (C-78 to C-81).
