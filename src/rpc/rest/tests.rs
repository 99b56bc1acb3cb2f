//! The paths are those of Supvisors' Flask application, and no text leads to anything else.

use super::*;
use crate::rpc::testing::World;

const FLEET: &str = "[inet_http_server]\nport=61000\n[rpcinterface:supvisors]\n\
    supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n";

/// Every rule of supvisorsflask 0.19, as Werkzeug has it, with the kinds of parameters.
#[rustfmt::skip]
const RULES: &[(&str, &str)] = &[
    ("POST", "/supervisor/addProcessGroup/{string}"), ("POST", "/supervisor/clearAllProcessLogs"),
    ("POST", "/supervisor/clearLog"), ("POST", "/supervisor/clearProcessLogs/{string}"),
    ("GET", "/supervisor/getAPIVersion"), ("GET", "/supervisor/getAllConfigInfo"),
    ("GET", "/supervisor/getAllProcessInfo"), ("GET", "/supervisor/getIdentification"), ("GET", "/supervisor/getPID"),
    ("GET", "/supervisor/getProcessInfo/{string}"), ("GET", "/supervisor/getState"),
    ("GET", "/supervisor/getSupervisorVersion"), ("GET", "/supervisor/readLog/{int}/{int}"),
    ("GET", "/supervisor/readProcessStderrLog/{string}/{int}/{int}"),
    ("GET", "/supervisor/readProcessStdoutLog/{string}/{int}/{int}"), ("POST", "/supervisor/reloadConfig"),
    ("POST", "/supervisor/removeProcessGroup/{string}"), ("POST", "/supervisor/restart"),
    ("POST", "/supervisor/sendProcessStdin/{string}/{string}"),
    ("POST", "/supervisor/sendRemoteCommEvent/{string}/{string}"), ("POST", "/supervisor/shutdown"),
    ("POST", "/supervisor/signalAllProcesses/{string}"), ("POST", "/supervisor/signalProcess/{string}/{string}"),
    ("POST", "/supervisor/signalProcessGroup/{string}/{string}"), ("POST", "/supervisor/startAllProcesses"),
    ("POST", "/supervisor/startProcess/{string}"), ("POST", "/supervisor/startProcessGroup/{string}"),
    ("POST", "/supervisor/stopAllProcesses"), ("POST", "/supervisor/stopProcess/{string}"),
    ("POST", "/supervisor/stopProcessGroup/{string}"),
    ("GET", "/supervisor/tailProcessStderrLog/{string}/{int}/{int}"),
    ("GET", "/supervisor/tailProcessStdoutLog/{string}/{int}/{int}"), ("GET", "/supvisors/all_applications_info"),
    ("GET", "/supvisors/all_inner_process_info/{string}"), ("GET", "/supvisors/all_instances_info"),
    ("GET", "/supvisors/all_instances_state_modes"), ("GET", "/supvisors/all_local_process_info"),
    ("GET", "/supvisors/all_process_info"), ("GET", "/supvisors/api_version"),
    ("GET", "/supvisors/application_info/{string}"), ("GET", "/supvisors/application_rules/{string}"),
    ("POST", "/supvisors/change_log_level/{any}"), ("POST", "/supvisors/conciliate/{any}"),
    ("GET", "/supvisors/conflicts"), ("POST", "/supvisors/disable/{string}"),
    ("POST", "/supvisors/disable_host_statistics"), ("POST", "/supvisors/disable_process_statistics"),
    ("POST", "/supvisors/enable/{string}"), ("POST", "/supvisors/enable_host_statistics"),
    ("POST", "/supvisors/enable_process_statistics"), ("POST", "/supvisors/end_sync"),
    ("POST", "/supvisors/end_sync/{string}"), ("GET", "/supvisors/inner_process_info/{string}/{string}"),
    ("GET", "/supvisors/instance_info/{string}"), ("GET", "/supvisors/instance_state_modes/{string}"),
    ("POST", "/supvisors/lazy_update_numprocs/{string}/{int}"), ("GET", "/supvisors/local_process_info/{string}"),
    ("GET", "/supvisors/master_identifier"), ("GET", "/supvisors/network_info/{string}"),
    ("GET", "/supvisors/process_info/{string}"), ("GET", "/supvisors/process_rules/{string}"),
    ("POST", "/supvisors/restart"), ("POST", "/supvisors/restart_application/{any}/{string}"),
    ("POST", "/supvisors/restart_process/{any}/{string}"), ("POST", "/supvisors/restart_sequence"),
    ("POST", "/supvisors/shutdown"), ("POST", "/supvisors/start_any_process/{any}/{string}"),
    ("POST", "/supvisors/start_application/{any}/{string}"), ("POST", "/supvisors/start_args/{string}"),
    ("POST", "/supvisors/start_process/{any}/{string}"), ("GET", "/supvisors/statistics_status"),
    ("POST", "/supvisors/stop_application/{string}"), ("POST", "/supvisors/stop_process/{string}"),
    ("GET", "/supvisors/strategies"), ("GET", "/supvisors/supvisors_state"),
    ("POST", "/supvisors/test_start_application/{any}/{string}"),
    ("POST", "/supvisors/test_start_process/{any}/{string}"), ("POST", "/supvisors/update_collecting_period/{float}"),
    ("POST", "/supvisors/update_numprocs/{string}/{int}"), ("GET", "/system/listMethods"),
    ("GET", "/system/methodHelp/{string}"), ("GET", "/system/methodSignature/{string}"),
];

/// A path with something for each parameter in it.
fn filled(rule: &str) -> String {
    let kinds = [("{string}", "x"), ("{int}", "7"), ("{float}", "7.5")];
    let rule = kinds.iter().fold(rule.to_string(), |path, (kind, text)| path.replace(kind, text));
    let is_conciliation = rule.starts_with("/supvisors/conciliate");
    let any = if is_conciliation {
        "USER"
    } else if rule.contains("log_level") {
        "info"
    } else {
        "LESS_LOADED"
    };
    rule.replace("{any}", any)
}

#[test]
fn the_paths_are_those_of_flask() {
    let world = World::new(FLEET);
    for (verb, rule) in RULES {
        let path = filled(rule);
        let (route, values) = find(&world.registry, &path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(route.is_read, *verb == "GET", "{path}");
        assert_eq!(values.len(), path.split('/').count() - 3, "{path}");
    }
    // And there are no others.
    let count = |rule: &str| rule.matches('{').count();
    let has = |route: &Route, parts: usize| {
        let begin = format!("/{}/{}", route.namespace, route.name);
        let is_it =
            |rule: &str| rule.strip_prefix(&*begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        RULES.iter().any(|(_, rule)| is_it(rule) && count(rule) == parts)
    };
    for route in routes(&world.registry) {
        assert!(has(&route, route.in_path().count()), "{}/{}", route.namespace, route.name);
    }
}

#[test]
fn what_a_path_says() {
    let world = World::new(FLEET);
    let rows: &[(&str, &str)] = &[
        ("/supvisors/start_process/CONFIG/g:p", r#"supvisors.start_process ["CONFIG", "g:p"] fields"#),
        (
            "/supvisors/start_process/CONFIG/a%2Fb%20%C3%A9",
            r#"supvisors.start_process ["CONFIG", "a/b \u00e9"] fields"#,
        ),
        ("/supvisors/start_process/config/g:p", "none"),
        ("/supvisors/start_process/0/g:p", "none"),
        ("/supvisors/start_process/CONFIG/", "none"),
        ("/supvisors/start_process/CONFIG", "none"),
        ("/supvisors/start_process/CONFIG/a/b", "none"),
        ("/supvisors/start_process//p", "none"),
        ("/supvisors/conciliate/USER", r#"supvisors.conciliate ["USER"]"#),
        ("/supvisors/conciliate/CONFIG", "none"),
        ("/supvisors/end_sync", "supvisors.end_sync []"),
        ("/supvisors/end_sync/n1", r#"supvisors.end_sync ["n1"]"#),
        ("/supvisors/end_sync/", "none"),
        ("/supvisors/update_numprocs/p/2", r#"supvisors.update_numprocs ["p", 2] fields"#),
        ("/supvisors/lazy_update_numprocs/p/2", r#"supvisors.update_numprocs ["p", 2] fields"#),
        ("/supvisors/update_numprocs/p/2.5", "none"),
        ("/supvisors/update_numprocs/p/+2", "none"),
        ("/supvisors/update_numprocs/p/9223372036854775808", "none"),
        ("/supvisors/update_collecting_period/7.5", "supvisors.update_collecting_period [7.5]"),
        ("/supvisors/update_collecting_period/7", "supvisors.update_collecting_period [7.0]"),
        ("/supvisors/update_collecting_period/nan", "none"),
        ("/supvisors/update_collecting_period/1e999", "none"),
        ("/supvisors/disable_host_statistics", "supvisors.enable_host_statistics []"),
        ("/supvisors/process_info/g:*", r#"supvisors.get_process_info ["g:*"]"#),
        ("/supvisors/get_process_info/g:*", "none"),
        ("/supervisor/readLog/-5/0", "supervisor.readLog [-5, 0]"),
        ("/supervisor/readMainLog/-5/0", "none"),
        ("/supervisor/getVersion", "none"),
        ("/system/multicall", "none"),
        ("/system/listMethods", "system.listMethods []"),
        ("/system/listMethods/", "none"),
        ("/stheno/getVersion", "none"),
        ("/supvisors", "none"),
        ("/supvisors/", "none"),
        ("//supvisors/api_version", "none"),
        ("/supvisors%2Fapi_version", "none"),
        ("/supvisors/api%5Fversion", "supvisors.get_api_version []"),
        ("", "none"),
        ("/", "none"),
    ];
    for (path, expected) in rows {
        let said = find(&world.registry, path).map_or("none".to_string(), |(route, values)| {
            let fields = if route.has_fields() { " fields" } else { "" };
            format!("{} {}{fields}", route.call(), crate::wire::json::write(&Value::Array(values)))
        });
        assert_eq!(said, *expected, "{path}");
    }
    assert!(find(&world.registry, &"/a".repeat(10_000)).is_none());
    // Of a path that ends early, or goes on, nothing else is made.
    for (_, rule) in RULES {
        let path = filled(rule);
        for cut in 0..path.len() {
            if let Some((route, _)) = find(&world.registry, &path[..cut]) {
                let begin = format!("/{}/{}", route.namespace, route.name);
                assert!(path.starts_with(&begin), "{path} up to {cut}");
            }
        }
        assert!(find(&world.registry, &format!("{path}/x/x")).is_none(), "{path}");
    }
}

#[test]
fn truth_is_what_flask_takes_for_it() {
    for (text, expected) in [
        ("true", Some(true)),
        ("True", Some(true)),
        ("1", Some(true)),
        ("ON", Some(true)),
        ("false", Some(false)),
        ("False", Some(false)),
        ("0", Some(false)),
        ("", Some(false)),
        ("off", None),
        ("2", None),
        (" true", None),
    ] {
        assert_eq!(Kind::Truth.read(text), expected.map(Value::Bool), "{text:?}");
    }
}

#[test]
fn the_document_has_every_path_once() {
    let world = World::new(FLEET);
    for has_password in [false, true] {
        let text = openapi::document(&routes(&world.registry), "1.0", has_password);
        let document = crate::wire::json::read(&text).expect("JSON");
        let Some(Value::Struct(paths)) = document.member("paths") else { panic!("{text}") };
        assert_eq!(paths.len(), RULES.len());
        let mut ids: Vec<&str> = Vec::new();
        for (path, verbs) in paths {
            let Value::Struct(verbs) = verbs else { panic!("{path}") };
            let [(verb, operation)] = &**verbs else { panic!("{path}") };
            let parts = path.split('/').count();
            let is_rule = |(method, rule): &(&str, &str)| {
                let begin: Vec<&str> = path.split('/').take(3).collect();
                method.eq_ignore_ascii_case(verb)
                    && rule.split('/').count() == parts
                    && rule.starts_with(&begin.join("/"))
            };
            assert!(RULES.iter().any(is_rule), "{verb} {path}");
            ids.extend(operation.member("operationId").and_then(Value::as_str));
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), RULES.len());
        assert_eq!(document.member("security").is_some(), has_password);
    }
}

/// What is left out of the configuration has no path.
#[test]
fn paths_are_there_with_their_methods() {
    let world = World::new("");
    assert!(find(&world.registry, "/supervisor/getState").is_some());
    assert!(find(&world.registry, "/supvisors/api_version").is_none());
    assert!(routes(&world.registry).iter().all(|route| route.namespace != "supvisors"));
}
