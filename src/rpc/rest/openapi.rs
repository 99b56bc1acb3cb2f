//! What [`routes`](super::routes) there are, for programs: a document of OpenAPI 3.0.

use super::{Kind, Param, Place, Route};
use crate::wire::json::string;

/// What methods give where it depends on the parameter: one process, or all of a group.
const RESULTS: &[(&str, &str)] =
    &[("startProcess", "boolean or array"), ("stopProcess", "boolean or array"), ("signalProcess", "boolean or array")];

/// What a field of true or false takes, as [`Kind::read`] does.
const TRUTH: &str = r#"{"anyOf": [{"type": "boolean"}, {"type": "integer", "enum": [0, 1]}, {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Oo][Nn]|1|0|)$"}], "default": true}"#;

/// The answers that all have, and those with a body.
const ANSWERS: &str = r##""400": {"$ref": "#/components/responses/fault"}, "401": {"$ref": "#/components/responses/password"}, "403": {"$ref": "#/components/responses/site"}, "404": {"$ref": "#/components/responses/unknown"}, "503": {"$ref": "#/components/responses/busy"}"##;
const ANSWERS_TO_FIELDS: &str =
    r##", "413": {"$ref": "#/components/responses/large"}, "415": {"$ref": "#/components/responses/type"}"##;

/// What routes refer to.
const COMPONENTS: &str = r##"{"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}, "schemas": {"error": {"type": "object", "properties": {"message": {"type": "string"}, "code": {"type": "integer", "description": "The code of a fault, as XML-RPC has it."}, "errors": {"type": "object", "additionalProperties": {"type": "string"}}}, "required": ["message"]}}, "responses": {"fault": {"description": "The method refuses, with its fault, or a field is not what it has to be.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}}, "password": {"description": "A password is missing, or wrong.", "content": {"text/html": {"schema": {"type": "string"}}}}, "site": {"description": "A page of another site asks.", "content": {"text/plain": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}}}, "unknown": {"description": "There is nothing under this path.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}}, "large": {"description": "The body is too large.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}, "text/html": {"schema": {"type": "string"}}}}, "type": {"description": "The body is neither a form nor JSON.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}}, "busy": {"description": "Too much is asked at once, or too many wrong passwords have come from this address.", "content": {"text/plain": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}}}}}"##;

/// The document about these routes, of a server of that version that asks for a password or does not.
pub fn document(routes: &[Route], version: &str, has_password: bool) -> String {
    let mut paths: Vec<String> = Vec::new();
    for route in routes {
        let all = route.in_path().count();
        let least = route.in_path().filter(|param| param.place != Place::Path { may_lack: true }).count();
        paths.extend((least..=all).map(|count| path(route, count)));
    }
    let security = if has_password { r#""security": [{"basic": []}], "# } else { "" };
    format!(
        "{{\"openapi\": \"3.0.3\", \"info\": {{\"title\": \"Stheno\", \"version\": {}, \"description\": \"The methods of XML-RPC \
         that Supervisor and Supvisors have, as REST.\"}}, \"servers\": [{{\"url\": \"/api/v1\"}}, {{\"url\": \"/\"}}], {security}\
         \"paths\": {{{}}}, \"components\": {COMPONENTS}}}",
        string(version),
        paths.join(", "),
    )
}

/// The path of a route with so many parameters in it, and what can be asked there.
fn path(route: &Route, count: usize) -> String {
    let Route { namespace, name, method, .. } = route;
    let (mut path, mut id) = (format!("/{namespace}/{name}"), format!("{namespace}.{name}"));
    let mut params = Vec::new();
    for param in route.in_path().take(count) {
        path.push_str(&format!("/{{{}}}", param.name));
        params.push(described(param, "path"));
        if param.place == (Place::Path { may_lack: true }) {
            id.push_str(&format!(".{}", param.name));
        }
    }
    let fields: Vec<&Param> = route.params.iter().filter(|param| param.place == Place::Field).collect();
    params.extend(fields.iter().map(|param| described(param, "query")));
    let (mut body, mut more) = (String::new(), "");
    if !fields.is_empty() {
        let properties: Vec<String> =
            fields.iter().map(|param| format!("{}: {}", string(param.name), schema(param.kind, false))).collect();
        let schema = format!(
            "{{\"schema\": {{\"type\": \"object\", \"properties\": {{{}}}, \"additionalProperties\": false}}}}",
            properties.join(", ")
        );
        body = format!(
            "\"requestBody\": {{\"content\": {{\"application/json\": {schema}, \"application/x-www-form-urlencoded\": {schema}}}}}, "
        );
        more = ANSWERS_TO_FIELDS;
    }
    let known = RESULTS.iter().find(|(name, _)| *name == method.name).map(|(_, kind)| *kind);
    let result = result(known.or(method.signature.first().copied()).unwrap_or_default());
    format!(
        "{}: {{\"{}\": {{\"operationId\": {}, \"tags\": [\"{namespace}\"], \"summary\": {}, \"parameters\": [{}], {body}\
         \"responses\": {{\"200\": {{\"description\": \"What the method gives.\", \"content\": {{\"application/json\": \
         {{\"schema\": {result}}}}}}}, {ANSWERS}{more}}}}}}}",
        string(&path),
        if route.is_read { "get" } else { "post" },
        string(&id),
        string(method.help),
        params.join(", "),
    )
}

/// A parameter in the path or the query.
fn described(param: &Param, place: &str) -> String {
    let is_needed = place == "path";
    let (name, schema) = (string(param.name), schema(param.kind, is_needed));
    format!("{{\"name\": {name}, \"in\": \"{place}\", \"required\": {is_needed}, \"schema\": {schema}}}")
}

/// What a parameter has to be; parts of a path are not empty.
fn schema(kind: Kind, is_part: bool) -> String {
    match kind {
        Kind::Text if is_part => r#"{"type": "string", "minLength": 1}"#.to_string(),
        Kind::Text => r#"{"type": "string", "default": ""}"#.to_string(),
        Kind::Integer => {
            format!(r#"{{"type": "integer", "format": "int64", "minimum": {}, "maximum": {}}}"#, i64::MIN, i64::MAX)
        }
        Kind::Number => r#"{"type": "number"}"#.to_string(),
        Kind::Truth => TRUTH.to_string(),
        Kind::Starting | Kind::Conciliation => {
            let names: Vec<String> = kind.names().into_iter().map(string).collect();
            format!(r#"{{"type": "string", "enum": [{}]}}"#, names.join(", "))
        }
    }
}

/// What a signature calls so.
fn result(kind: &str) -> &'static str {
    match kind {
        "string" | "str" => r#"{"type": "string"}"#,
        "boolean" | "bool" => r#"{"type": "boolean"}"#,
        "int" => r#"{"type": "integer"}"#,
        "struct" | "dict[str, Any]" => r#"{"type": "object"}"#,
        "array" => r#"{"type": "array", "items": {}}"#,
        "list[dict[str, Any]]" => r#"{"type": "array", "items": {"type": "object"}}"#,
        "boolean or array" => r#"{"anyOf": [{"type": "boolean"}, {"type": "array", "items": {}}]}"#,
        _ => "{}",
    }
}
