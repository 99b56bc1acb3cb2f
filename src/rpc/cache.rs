//! supervisor_cache: a store of values by key, in memory. There is one, whichever server a call comes
//! through, and whatever the namespaces are called.

use super::twiddler::row;
use super::{Context, Method, Outcome, text};
use crate::fault::{Code, Fault};
use crate::wire::value::Value;

/// What the store may hold, counted as [`weight`] does. Ten times what a busy site was seen to keep there.
const WEIGHT_MAX: usize = 64 << 20;
/// What a value weighs beyond its text: about what it takes in memory.
const ENTRY_WEIGHT: usize = 64;

/// The rows.
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
    let keys = context.daemon.extensions.cache.keys().map(|key| Value::from(key.clone()));
    Ok(Value::Array(keys.collect()).into())
}

fn count(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok((context.daemon.extensions.cache.len() as i64).into())
}

fn store(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let key = key(params)?;
    let Some(value) = params.get(1) else { return Err(Code::IncorrectParameters.bare()) };
    let extensions = &mut context.daemon.extensions;
    let old = extensions.cache.get(key).map_or(0, |old| key.len() + weight(old));
    let total = extensions.cache_weight - old + key.len() + weight(value);
    if total > WEIGHT_MAX {
        return Err(Code::Failed.with(format!("the cache is full ({WEIGHT_MAX} bytes)")));
    }
    extensions.cache_weight = total;
    extensions.cache.insert(key.to_string(), value.clone());
    Ok(true.into())
}

fn fetch(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let value = context.daemon.extensions.cache.get(key(params)?);
    Ok(value.cloned().ok_or_else(|| Code::BadName.bare())?.into())
}

fn delete(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let key = key(params)?;
    let extensions = &mut context.daemon.extensions;
    if let Some(old) = extensions.cache.remove(key) {
        extensions.cache_weight -= key.len() + weight(&old);
    }
    Ok(true.into())
}

fn clear(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    context.daemon.extensions.cache.clear();
    context.daemon.extensions.cache_weight = 0;
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
