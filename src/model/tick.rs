//! TICK events (E-20).
