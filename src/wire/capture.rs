//! Capture mode: the tokens that fence a message in child output (L-70 to L-76).
