//! `docs/xmlrpc.md`: every method of every namespace.

use super::configuration::words;
use stheno::rpc;

/// The text of the document.
pub fn document() -> String {
    let mut text = format!(
        "# Methods\n\n{}\n\n\
         Calls go to `/RPC2` of any server, as XML-RPC. What Supervisor 4.3.0 answers is answered, with the same faults; \
         `system.methodHelp` gives these texts, `system.multicall` makes several calls at once.\n\n\
         ```\nimport xmlrpc.client\nserver = xmlrpc.client.ServerProxy('http://127.0.0.1:9001/RPC2')\nprint(server.supervisor.getAllProcessInfo())\n```\n",
        super::ORIGIN
    );
    let mut heading = "";
    for namespace in rpc::namespaces() {
        if heading != namespace.name {
            heading = namespace.name;
            text.push_str(&format!("\n## {heading}\n"));
        }
        text.push_str(&format!("\n{}\n", namespace.about));
        let mut methods: Vec<_> = namespace.methods.iter().collect();
        methods.sort_by_key(|method| method.name);
        for method in methods {
            text.push_str(&format!("\n### {}.{}({})\n\n", namespace.name, method.name, parameters(method)));
            text.push_str(&words(method.help));
            if let Some(kind) = method.signature.first() {
                text.push_str(&format!(" Returns {kind}."));
            }
            text.push('\n');
        }
    }
    text
}

/// The parameters with their types; those that may be left out in brackets.
fn parameters(method: &rpc::Method) -> String {
    let needed = method.params.len() - method.optional;
    let kind = |at: usize| method.signature.get(at + 1).copied();
    let one = |(at, name): (usize, &&str)| match kind(at) {
        Some(kind) => format!("{name}: {kind}"),
        None => name.to_string(),
    };
    let all: Vec<String> = method.params.iter().enumerate().map(one).collect();
    let (needed, optional) = all.split_at(needed);
    let optional: String = match optional {
        [] => String::new(),
        _ if needed.is_empty() => format!("[{}]", optional.join(", ")),
        _ => format!("[, {}]", optional.join(", ")),
    };
    needed.join(", ") + &optional
}
