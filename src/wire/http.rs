//! HTTP/1.x: heads, bodies and chunks, for servers and clients.
