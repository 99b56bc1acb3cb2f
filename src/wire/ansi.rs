//! Removing ANSI sequences from child output, across chunk borders (L-36).
