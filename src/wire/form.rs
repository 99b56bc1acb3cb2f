//! URL-encoded forms and percent-quoting.
