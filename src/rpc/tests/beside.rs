//! What the files say beside what is in force.

use super::super::testing::World;
use crate::wire::value::Value;

const TEXT: &str = "[program:a]\ncommand=a\nstartsecs=0\nstopwaitsecs=7\n[program:b]\ncommand=b\nstartsecs=0\n\
                    [program:c]\ncommand=c\nstartsecs=0\nautostart=false\n";

fn word(item: &Value, name: &str) -> String {
    item.member(name).and_then(Value::as_str).unwrap_or("").to_string()
}

fn items(value: &Value) -> &[Value] {
    if let Value::Array(items) = value { items } else { panic!("{value:?}") }
}

#[test]
fn options_say_where_they_come_from() {
    let mut world = World::new(TEXT);
    let options = world.ok("stheno.getOptions", &["a".into()]);
    let found = |name: &str| items(&options).iter().find(|it| word(it, "name") == name).expect("the option").clone();
    let set = found("stopwaitsecs");
    assert_eq!((word(&set, "value").as_str(), word(&set, "file").as_str()), ("7", "F"));
    assert!(matches!(set.member("line"), Some(Value::Int(line)) if *line > 1));
    assert_eq!(word(&found("startretries"), "file"), "", "a default stands nowhere");
    assert!(items(&options).iter().all(|it| word(it, "name") != "environment"));
    assert!(world.call("stheno.getOptions", &["none".into()]).is_err());
}

#[test]
fn changes_are_told_before_they_are_made() {
    let mut world = World::new(TEXT);
    let changes = world.ok("stheno.getChanges", &[]);
    assert!(items(changes.member("changes").expect("changes")).is_empty(), "{changes:?}");
    world.write(
        "[program:a]\ncommand=a2\nstartsecs=0\nstopwaitsecs=7\n[program:c]\ncommand=c\nstartsecs=0\nautostart=false\n\
         environment=SECRET=\"x\"\n[program:d]\ncommand=d\n",
    );
    let changes = world.ok("stheno.getChanges", &[]);
    let mut lines: Vec<String> = items(changes.member("changes").expect("changes"))
        .iter()
        .map(|it| {
            let options = items(it.member("options").expect("options")).iter();
            let options = options.map(|it| ["name", "before", "after"].map(|part| word(it, part)).join(" "));
            format!("{} {} {}", word(it, "kind"), word(it, "name"), options.collect::<Vec<_>>().join(", "))
        })
        .collect();
    lines.sort();
    let expected = ["added d ", "changed a command a a2", "changed c environment as it is another", "removed b "];
    assert_eq!(lines, expected);
    for (name, count) in [("starts", 1), ("stops", 1), ("restarts", 1)] {
        assert_eq!(changes.member(name), Some(&Value::Int(count)), "{name}");
    }
    assert_eq!(world.groups().len(), 3, "nothing was changed");
    world.write("nonsense");
    assert!(world.call("stheno.getChanges", &[]).is_err());
}
