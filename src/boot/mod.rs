//! Start-up in order: arguments, configuration, limits, privileges, logs, sockets, daemonize, pidfile, run.
