//! supervisor_cache: a store of values by key, in memory. There is one, whichever server a call comes
//! through, and whatever the namespaces are called.

use std::collections::BTreeMap;

use super::twiddler::row;
use super::{Context, Method, Outcome, text};
use crate::fault::{Code, Fault};
use crate::wire::value::Value;

/// What the store may hold, counted as [`weight`] does. Ten times what a busy site was seen to keep there.
const WEIGHT_MAX: usize = 64 << 20;
/// What a value weighs beyond its text: about what it takes in memory.
const ENTRY_WEIGHT: usize = 64;

/// The store: values by key.
#[derive(Debug, Default)]
pub(super) struct Cache {
    values: BTreeMap<String, Value>,
    /// What they and their keys weigh.
    weight: usize,
}

impl Cache {
    /// Keeps a value under a key. Faults: FAILED if there is no room for it.
    fn store(&mut self, key: &str, value: &Value) -> Result<(), Fault> {
        let old = self.values.get(key).map_or(0, |old| key.len() + weight(old));
        let total = self.weight - old + key.len() + weight(value);
        if total > WEIGHT_MAX {
            return Err(Code::Failed.with(format!("the cache is full ({WEIGHT_MAX} bytes)")));
        }
        self.weight = total;
        self.values.insert(key.to_string(), value.clone());
        Ok(())
    }

    /// Forgets a key, if it is there.
    fn delete(&mut self, key: &str) {
        if let Some(old) = self.values.remove(key) {
            self.weight -= key.len() + weight(&old);
        }
    }
}

pub const METHODS: &[Method] = &[
    row("getAPIVersion", &["string"], &[], "Give the version of this interface.", api_version),
    row("getKeys", &["array"], &[], "Give all keys, sorted.", keys),
    row("getCount", &["integer"], &[], "Tell how many keys there are.", count),
    row("store", &["boolean", "string", "string"], &["key", "data"], "Keep a value under a key.", store),
    row("fetch", &["string", "string"], &["key"], "Give the value kept under a key.", fetch),
    row("delete", &["boolean", "string"], &["key"], "Forget a key, if it is there.", delete),
    row("clear", &["boolean"], &[], "Forget all keys.", clear),
];

fn api_version(_: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok("0.2".into())
}

fn keys(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let keys = context.extensions.cache.values.keys().map(|key| Value::from(key.clone()));
    Ok(Value::Array(keys.collect()).into())
}

fn count(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok((context.extensions.cache.values.len() as i64).into())
}

fn store(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let key = key(params)?;
    let Some(value) = params.get(1) else { return Err(Code::IncorrectParameters.bare()) };
    context.extensions.cache.store(key, value)?;
    Ok(true.into())
}

fn fetch(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let value = context.extensions.cache.values.get(key(params)?);
    Ok(value.cloned().ok_or_else(|| Code::BadName.bare())?.into())
}

fn delete(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    context.extensions.cache.delete(key(params)?);
    Ok(true.into())
}

fn clear(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    context.extensions.cache = Cache::default();
    Ok(true.into())
}

fn key(params: &[Value]) -> Result<&str, Fault> {
    match text(params, 0) {
        Ok(key) if !key.is_empty() => Ok(key),
        _ => Err(Code::BadName.with("Cache key must be a non-empty string")),
    }
}

/// About how much memory a value takes, bytes.
fn weight(value: &Value) -> usize {
    let own = match value {
        Value::Str(text) => text.len(),
        Value::DateTime(text) => text.len(),
        Value::Base64(bytes) => bytes.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Struct(members) => members.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
    };
    own + ENTRY_WEIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_given_back() {
        let mut cache = Cache::default();
        let big = Value::from("x".repeat(60 << 20));
        let rows = [("a", true), ("b", false), ("a", true)];
        for (key, fits) in rows {
            assert_eq!(cache.store(key, &big).is_ok(), fits, "{key}");
        }
        cache.delete("b");
        cache.delete("a");
        assert_eq!((cache.values.len(), cache.weight), (0, 0));
        cache.store("b", &big).expect("there is room again");
        assert_eq!(cache.values.len(), 1);
    }
}
