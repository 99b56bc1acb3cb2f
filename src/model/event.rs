//! Event types, their hierarchy and payloads (E-1 to E-15).
