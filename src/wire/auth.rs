//! Basic authentication: what a client sent, compared with what is configured.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What a configured password begins with when it is the hexadecimal SHA-1 of the real one (C-99).
const SHA_PREFIX: &str = "{SHA}";

/// Base64 as clients write it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether an `Authorization` header opens a server with that user name and password. What cannot be decoded does
/// not, like wrong credentials.
pub fn is_authorized(header: Option<&str>, username: &str, password: &str) -> bool {
    let Some((given_name, given_password)) = header.and_then(basic_credentials) else { return false };
    let name = same(given_name.as_slice(), username.as_bytes());
    let password = match password.strip_prefix(SHA_PREFIX) {
        Some(digest) => {
            let given = sha1_smol::Sha1::from(&given_password).digest().to_string();
            same(given.as_bytes(), digest.as_bytes())
        }
        None => same(given_password.as_slice(), password.as_bytes()),
    };
    // Both are compared before either decides, so that the time does not tell which was wrong.
    name & password
}

/// The user name and password of a Basic `Authorization` header. The first colon splits; a password may have more.
fn basic_credentials(header: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut name = BASE64.decode(encoded.trim()).ok()?;
    let colon = name.iter().position(|&byte| byte == b':')?;
    let password = name.split_off(colon + 1);
    name.truncate(colon);
    Some((name, password))
}

/// The value of an `Authorization` header with these credentials.
pub fn basic_header(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{username}:{password}")))
}

/// Compares in a time that depends on the length of what was given, and on nothing of what is expected.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = usize::from(given.len() != expected.len());
    for (at, &byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ expected.get(at).copied().unwrap_or_default());
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials() {
        let rows: &[(&str, Option<(&str, &str)>)] = &[
            ("Basic dXNlcjpwYXNz", Some(("user", "pass"))),
            ("bAsIc  dXNlcjpwYXNz ", Some(("user", "pass"))),
            ("Basic dTphOmI6", Some(("u", "a:b:"))),
            ("Basic Og==", Some(("", ""))),
            ("Basic Og", Some(("", ""))),
            ("Basic dXNlcg==", None),
            ("Basic ***", None),
            ("Basic", None),
            ("Basic ", None),
            ("Digest dXNlcjpwYXNz", None),
            ("", None),
        ];
        for (header, expected) in rows {
            let expected = expected.map(|(name, password)| (name.as_bytes().to_vec(), password.as_bytes().to_vec()));
            assert_eq!(basic_credentials(header), expected, "{header:?}");
        }
    }

    #[test]
    fn who_gets_in() {
        const SHA: &str = "{SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d";
        let upper = SHA.to_ascii_uppercase();
        let rows = [
            ("user", "pass", "user", "pass", true),
            ("user", "a:b", "user", "a:b", true),
            ("üser", "päss", "üser", "päss", true),
            ("user", "pass", "user", "", false),
            ("user", "pass", "user", "pas", false),
            ("user", "pass", "user", "passs", false),
            ("user", "pass", "user", "pass\0", false),
            ("user", "pass", "User", "pass", false),
            ("user", "pass", "", "", false),
            ("user", "", "user", "", true),
            ("user", SHA, "user", "thepassword", true),
            ("user", SHA, "user", "thepasswor", false),
            ("user", SHA, "user", SHA, false),
            ("user", &upper, "user", "thepassword", false),
            ("user", "{SHA}", "user", "", false),
        ];
        for (username, password, given_name, given_password, expected) in rows {
            let header = basic_header(given_name, given_password);
            assert_eq!(
                is_authorized(Some(&header), username, password),
                expected,
                "{given_name}:{given_password} for {username}:{password}"
            );
        }
        assert!(!is_authorized(None, "user", ""));
        assert!(!is_authorized(Some("Digest x"), "user", ""));
    }
}
