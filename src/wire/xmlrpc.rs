//! XML-RPC calls and answers.
