use super::*;
use Value::{Array, Base64, Bool, DateTime, Double, Int, Nil, Struct};

fn s(text: &str) -> Value {
    Value::from(text.to_owned())
}

fn call_of(value: &str) -> String {
    format!("<methodCall><methodName>m</methodName><params><param>{value}</param></params></methodCall>")
}

/// Decodes whole, with white space behind, and cut at every byte: a cut call must never be taken for a call.
fn decode(body: &[u8]) -> Result<Call, DecodeError> {
    let whole = decode_call(body);
    if whole.is_ok() && body.len() < 4096 {
        assert_eq!(decode_call(&[body, b"\r\n \n"].concat()), whole);
        assert!(decode_call(&[body, b"x"].concat()).is_err());
        assert!(decode_call(&[body, b"<again/>"].concat()).is_err());
        for end in 0..body.trim_ascii_end().len() {
            assert!(decode_call(&body[..end]).is_err(), "cut at {end}");
        }
    }
    whole
}

#[test]
fn values() {
    let rows: &[(&str, Value)] = &[
        ("<value><int>5</int></value>", Int(5)),
        ("<value><i4>-5</i4></value>", Int(-5)),
        ("<value><i8>5000000000</i8></value>", Int(5_000_000_000)),
        ("<value><int> +7\n</int></value>", Int(7)),
        ("<value>\n  <int>5</int>\n  </value>\n", Int(5)),
        ("<value><boolean>1</boolean></value>", Bool(true)),
        ("<value><boolean>0</boolean></value>", Bool(false)),
        ("<value><boolean>true</boolean></value>", Bool(false)),
        ("<value><string>a b</string></value>", s("a b")),
        ("<value><string> a </string></value>", s(" a ")),
        ("<value><string/></value>", s("")),
        ("<value>plain</value>", s("plain")),
        ("<value> plain </value>", s(" plain ")),
        ("<value/>", s("")),
        ("<value><string>&lt;&amp;&gt;&quot;&#233;&#xe9;é</string></value>", s("<&>\"ééé")),
        ("<value><string>a<![CDATA[<b>]]>c</string></value>", s("a<b>c")),
        ("<value><string>a<!-- no -->b</string></value>", s("ab")),
        ("<value><string>a&#13;b</string></value>", s("a\rb")),
        ("<value><double>1.5</double></value>", Double(1.5)),
        ("<value><double>-2e3</double></value>", Double(-2000.0)),
        ("<value><dateTime.iso8601>20200102T03:04:05</dateTime.iso8601></value>", DateTime("20200102T03:04:05".into())),
        ("<value><base64>aWRs\nZQ==</base64></value>", s("idle")),
        ("<value><base64>aWRsZQ</base64></value>", s("idle")),
        ("<value><base64>\n/w==\n</base64></value>", Base64(vec![0xff])),
        ("<value><nil/></value>", Nil),
        ("<value><odd>5</odd></value>", s("5")),
        ("<value><array><data/></array></value>", Array(vec![])),
        (
            "<value><array><data><value>a</value> <value><int>1</int></value></data></array></value>",
            Array(vec![s("a"), Int(1)]),
        ),
        ("<value><struct/></value>", Struct(vec![])),
        (
            "<value><struct> <member><name>k</name><value><int>1</int></value></member>\n<member><name>l</name><value/></member></struct></value>",
            Struct(vec![("k".into(), Int(1)), ("l".into(), s(""))]),
        ),
        (
            "<value><struct><member><name>k</name><value>1</value></member><member><name>k</name><value>2</value></member></struct></value>",
            Struct(vec![("k".into(), s("2"))]),
        ),
        ("<int>5</int>", Int(5)),
        ("<value a='b' xmlns:e='urn:e'><e:i8>5</e:i8></value>", Int(5)),
    ];
    for (text, expected) in rows {
        match decode(call_of(text).as_bytes()) {
            Ok(call) => assert_eq!(call.params, std::slice::from_ref(expected), "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn calls() {
    let rows: &[(&[u8], &str, &[Value])] = &[
        (b"<methodCall><methodName>a.b</methodName></methodCall>", "a.b", &[]),
        (b"<methodCall><methodName>a.b</methodName><params/></methodCall>", "a.b", &[]),
        (b"<?xml version='1.0'?>\n<methodCall>\n<methodName>a</methodName>\n<params>\n</params>\n</methodCall>\n", "a", &[]),
        (b"<?xml version=\"1.0\" encoding=\"utf-8\"?><c><methodName>\xc3\xa9</methodName></c>", "é", &[]),
        (b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><c><methodName>\xe9</methodName></c>", "é", &[]),
        (b"\xef\xbb\xbf<c><methodName>a</methodName></c>", "a", &[]),
        (b"\r\n <c><methodName>a</methodName><other><x/></other></c>", "a", &[]),
        (b"<c><params><param><value><int>1</int></value></param><param><value/></param></params><methodName>a</methodName></c>", "a", &[Int(1), Value::Str(std::borrow::Cow::Borrowed(""))]),
    ];
    for (body, method, params) in rows {
        let shown = String::from_utf8_lossy(body);
        match decode(body) {
            Ok(call) => assert_eq!((call.method.as_str(), &call.params[..]), (*method, *params), "{shown}"),
            Err(error) => panic!("{shown}: {error}"),
        }
    }
}

#[test]
fn refused() {
    let bad = |kind, text: &str| DecodeError::BadScalar(kind, text.to_owned());
    let deep = |n: usize| call_of(&("<value><array><data>".repeat(n) + &"</data></array></value>".repeat(n)));
    let rows: Vec<(String, Option<DecodeError>)> = vec![
        ("".into(), None),
        ("no xml".into(), None),
        ("<methodCall>".into(), None),
        ("<a></b>".into(), None),
        ("<c><methodName>&unknown;</methodName></c>".into(), None),
        ("<?xml version='1.0' encoding='koi8-r'?><c><methodName>a</methodName></c>".into(), None),
        ("<methodCall/>".into(), Some(DecodeError::NoMethodName)),
        ("<methodCall><methodName/></methodCall>".into(), Some(DecodeError::NoMethodName)),
        ("<!DOCTYPE c><c><methodName>a</methodName></c>".into(), Some(DecodeError::Doctype)),
        ("<!DOCTYPE c [<!ENTITY e 'x'>]><c><methodName>&e;</methodName></c>".into(), Some(DecodeError::Doctype)),
        (call_of("<value><int>x</int></value>"), Some(bad("int", "x"))),
        (call_of("<value><int/></value>"), Some(bad("int", ""))),
        (call_of("<value><double>x</double></value>"), Some(bad("double", "x"))),
        (call_of("<value><dateTime.iso8601>today</dateTime.iso8601></value>"), Some(bad("dateTime.iso8601", "today"))),
        (call_of("<value><base64>a*</base64></value>"), Some(bad("base64", "a*"))),
        (call_of("<value><array/></value>"), Some(DecodeError::Incomplete("array"))),
        (call_of(""), Some(DecodeError::Incomplete("param"))),
        (
            call_of("<value><struct><member><name>a</name></member></struct></value>"),
            Some(DecodeError::Incomplete("member")),
        ),
        (call_of("<value><struct><member><value/></member></struct></value>"), Some(DecodeError::Incomplete("member"))),
        (deep(21), Some(DecodeError::TooDeep)),
        ("<a>".repeat(40_000), Some(DecodeError::TooDeep)),
        (
            call_of(&format!("<value><array><data>{}</data></array></value>", "<value/>".repeat(60_000))),
            Some(DecodeError::TooManyElements),
        ),
    ];
    for (body, expected) in rows {
        let shown = &body[..body.len().min(200)];
        let error = decode(body.as_bytes()).expect_err(shown);
        match expected {
            Some(expected) => assert_eq!(error, expected, "{shown}"),
            None => assert!(matches!(error, DecodeError::Syntax(_)), "{shown}: {error:?}"),
        }
    }
    assert_eq!(decode(deep(20).as_bytes()).expect("not too deep").params.len(), 1);
}

#[test]
fn what_is_written_is_read_back_and_laid_out_as_python_does() {
    let param = |value: &str| {
        format!(
            "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n{value}</param>\n</params>\n</methodResponse>\n"
        )
    };
    let rows: &[(Value, &str, Option<Value>)] = &[
        (s("3.0"), "<value><string>3.0</string></value>\n", None),
        (Bool(true), "<value><boolean>1</boolean></value>\n", None),
        (Int(2_147_483_647), "<value><int>2147483647</int></value>\n", None),
        (Int(-2_147_483_648), "<value><int>-2147483648</int></value>\n", None),
        (Int(2_147_483_648), "<value><i8>2147483648</i8></value>\n", None),
        (Int(i64::MIN), "<value><i8>-9223372036854775808</i8></value>\n", None),
        (Int(0), "<value><int>0</int></value>\n", None),
        (Double(1.0), "<value><double>1.0</double></value>\n", None),
        (Nil, "<value><nil/></value>\n", None),
        (Array(vec![]), "<value><array><data>\n</data></array></value>\n", None),
        (
            Struct(vec![("k".into(), Array(vec![s("a"), Int(1)]))]),
            "<value><struct>\n<member>\n<name>k</name>\n<value><array><data>\n<value><string>a</string></value>\n<value><int>1</int></value>\n</data></array></value>\n</member>\n</struct></value>\n",
            None,
        ),
        (Base64(vec![0xff]), "<value><base64>\n/w==\n</base64></value>\n", None),
        (s("<a>&\"'"), "<value><string>&lt;a&gt;&amp;\"'</string></value>\n", None),
        (s("\ta\nb\r\n"), "<value><string>\ta\nb\r\n</string></value>\n", Some(s("\ta\nb\n"))),
        (
            s("\0a\u{1b}[0m\u{7f}"),
            "<value><string>\u{fffd}a\u{fffd}[0m\u{7f}</string></value>\n",
            Some(s("\u{fffd}a\u{fffd}[0m\u{7f}")),
        ),
        (
            s("\u{fffe}\u{ffff}\u{fffd}\u{ff0c}\u{10ffff}é漢"),
            "<value><string>\u{fffd}\u{fffd}\u{fffd}\u{ff0c}\u{10ffff}é漢</string></value>\n",
            Some(s("\u{fffd}\u{fffd}\u{fffd}\u{ff0c}\u{10ffff}é漢")),
        ),
    ];
    for (value, text, back) in rows {
        let mut out = b"before".to_vec();
        write_response(&mut out, value);
        assert_eq!(String::from_utf8_lossy(&out), format!("before{}", param(text)), "{value:?}");
        assert_eq!(decode_response(&out[6..]), Ok(Ok(back.clone().unwrap_or(value.clone()))), "{value:?}");
    }
}

#[test]
fn faults_and_calls_are_written_as_python_does() {
    let mut out = Vec::new();
    write_fault(&mut out, 10, "BAD_NAME: <a>");
    assert_eq!(
        String::from_utf8_lossy(&out),
        "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><int>10</int></value>\n</member>\n\
         <member>\n<name>faultString</name>\n<value><string>BAD_NAME: &lt;a&gt;</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n"
    );
    assert_eq!(decode_response(&out), Ok(Err((10, "BAD_NAME: <a>".into()))));

    let call = encode_call("a.b", &[s("x"), Int(1)]);
    assert_eq!(
        String::from_utf8_lossy(&call),
        "<?xml version='1.0'?>\n<methodCall>\n<methodName>a.b</methodName>\n<params>\n<param>\n<value><string>x</string></value>\n</param>\n\
         <param>\n<value><int>1</int></value>\n</param>\n</params>\n</methodCall>\n"
    );
    assert_eq!(decode_call(&call), Ok(Call { method: "a.b".into(), params: vec![s("x"), Int(1)] }));
    for body in [
        "<methodResponse/>",
        "<methodResponse><params/></methodResponse>",
        "<methodResponse><fault><value/></fault></methodResponse>",
    ] {
        assert!(decode_response(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn log_bytes_are_written_lossily() {
    let rows: &[(&[u8], &str)] = &[
        (b"a\xffb", "a\u{fffd}b"),
        (b"\xe6\xbc", "\u{fffd}"),
        (b"\xe6\xbc\xa2<", "漢&lt;"),
        (b"\x00\xff", "\u{fffd}\u{fffd}"),
        (b"", ""),
    ];
    for (bytes, expected) in rows {
        let mut out = Vec::new();
        Writer::new(&mut out).str_lossy(bytes);
        assert_eq!(String::from_utf8_lossy(&out), format!("<value><string>{expected}</string></value>\n"), "{bytes:?}");
    }
}
