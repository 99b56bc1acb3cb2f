//! The INI dialect of Supervisor's files (C-10 to C-29).
