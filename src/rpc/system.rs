//! `system.*`: what there is, and several calls in one.

use super::deferred::{Deferred, Multicall};
use super::method::row;
use super::{Context, Guard, Method, Outcome};
use crate::fault::{Code, Fault};
use crate::wire::value::Value;

/// The rows of `system.*`.
pub const METHODS: &[Method] = &[
    Method {
        guard: Guard::Open,
        ..row("listMethods", &["array"], &[], "Name every method that can be called here.", list_methods)
    },
    Method {
        guard: Guard::Open,
        ..row("methodHelp", &["string", "string"], &["name"], "Explain one method.", method_help)
    },
    Method {
        guard: Guard::Open,
        ..row(
            "methodSignature",
            &["array", "string"],
            &["name"],
            "Give the types of a method: of its result, then of its parameters.",
            method_signature,
        )
    },
    Method {
        guard: Guard::Open,
        ..row(
            "multicall",
            &["array", "array"],
            &["calls"],
            "Carry out several calls, one after another. Each is a struct of methodName and params; the answer holds \
               for each its result, or a struct of faultCode and faultString.",
            multicall,
        )
    },
];

fn list_methods(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let names = context.registry.names();
    Ok(Value::Array(names.into_iter().map(Value::from).collect()).into())
}

/// The method that is asked about; what is not a string names none either.
fn find(context: &Context<'_>, params: &[Value]) -> Result<&'static Method, Fault> {
    let name = params.first().and_then(Value::as_str);
    let found = name.and_then(|name| context.registry.find(name));
    found.map(|(_, method)| method).ok_or_else(|| Code::SignatureUnsupported.bare())
}

fn method_help(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let method = find(context, params)?;
    Ok(super::help_text(method).into())
}

fn method_signature(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let method = find(context, params)?;
    if method.signature.is_empty() {
        return Err(Code::SignatureUnsupported.bare());
    }
    Ok(Value::Array(method.signature.iter().map(|kind| Value::from(*kind)).collect()).into())
}

fn multicall(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let Some(Value::Array(calls)) = params.first() else { return Err(Code::IncorrectParameters.bare()) };
    Deferred::Multicall(Box::new(Multicall::new(calls.clone()))).begin(context)
}
