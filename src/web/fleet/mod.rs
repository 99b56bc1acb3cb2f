//! The pages of a fleet: what their stream tells ([`rows`]), and the same as plain tables ([`plain`]).

pub(crate) mod plain;
pub(crate) mod rows;

use super::guard::CONTENT_POLICY;
use crate::fleet::Fleet;
use crate::fleet::members::Member;

/// Instances that a page may go on with when the one that serves it is gone. The first ones of the list are enough, and a header
/// has its limits.
const OTHERS_MAX: usize = 16;

/// What the page of a fleet may load: it looks which of the other instances answers, besides.
pub fn content_policy(fleet: &Fleet) -> String {
    // Brackets of IPv6 are none of the policy's words.
    let is_plain = |member: &&Member| {
        member.who.identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte))
    };
    let others = fleet.members().filter(|(peer, _)| *peer != fleet.own_id()).map(|(_, member)| member);
    let names: Vec<String> =
        others.filter(is_plain).take(OTHERS_MAX).map(|member| format!(" {}", member.who.identifier)).collect();
    CONTENT_POLICY.replace("connect-src 'self'", &format!("connect-src 'self'{}", names.concat()))
}
