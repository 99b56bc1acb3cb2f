//! What event listeners write: READY and RESULT (E-40 to E-46).
