//! The method table of XML-RPC and its namespaces.

#![forbid(unsafe_code)]
