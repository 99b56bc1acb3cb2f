//! The process machine (P-1 to P-28).
