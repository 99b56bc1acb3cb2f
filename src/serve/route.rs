//! Which path is whose. All are behind the same authentication, which is decided before the table is looked at; but for
//! who wants to take part in the fleet, who proves who it is in another way, and has nothing before that.

/// Who handles a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `/RPC2`: calls over XML-RPC.
    Rpc,
    /// A child's log, followed.
    Logtail,
    /// The activity log, followed.
    MainLogtail,
    /// Events, as they happen.
    Events,
    /// The state of all processes as it changes, for a page.
    Live,
    /// What a fleet publishes, as it happens.
    FleetEvents,
    /// The page of a fleet.
    FleetPage,
    /// The state of a fleet as it changes, for its page.
    FleetLive,
    /// Calls as REST.
    Rest,
    /// A part of a log, for a page.
    LogPart,
    /// `/metrics`: figures for Prometheus.
    Metrics,
    /// `/fleet`: another instance that wants to take part; for anybody else there is nothing.
    Fleet,
    /// `/`: the status page, and the actions of its links.
    Index,
    /// The page with the end of a log.
    Tail,
    /// `/ok.html`, which says `OK` to whoever looks whether we are there.
    Ok,
    /// Everything else: files that are built in.
    Static,
}

/// The route table: the first match wins. `true` matches every path that begins so.
pub const ROUTES: &[(&str, bool, Handler)] = &[
    ("/RPC2", true, Handler::Rpc),
    ("/logtail", true, Handler::Logtail),
    ("/mainlogtail", true, Handler::MainLogtail),
    ("/events", false, Handler::Events),
    ("/metrics", false, Handler::Metrics),
    ("/fleet", false, Handler::Fleet),
    ("/stheno/events", false, Handler::Live),
    ("/fleet/events", false, Handler::FleetEvents),
    ("/fleet/live", false, Handler::FleetLive),
    ("/fleet.html", false, Handler::FleetPage),
    #[cfg(feature = "fleet")]
    ("/openapi.json", false, Handler::Rest),
    #[cfg(feature = "fleet")]
    ("/api/v1/", true, Handler::Rest),
    #[cfg(feature = "fleet")]
    ("/supvisors/", true, Handler::Rest),
    #[cfg(feature = "fleet")]
    ("/supervisor/", true, Handler::Rest),
    #[cfg(feature = "fleet")]
    ("/system/", true, Handler::Rest),
    ("/stheno/log", false, Handler::LogPart),
    ("/", false, Handler::Index),
    ("/index.html", false, Handler::Index),
    ("/tail.html", false, Handler::Tail),
    ("/ok.html", false, Handler::Ok),
    ("", true, Handler::Static),
];

/// Who handles an unquoted path.
pub(super) fn handler(path: &str) -> Handler {
    let matches = |pattern: &str, begins: bool| if begins { path.starts_with(pattern) } else { path == pattern };
    let found = ROUTES.iter().find(|(pattern, begins, _)| matches(pattern, *begins));
    found.map_or(Handler::Static, |(_, _, handler)| *handler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_wins() {
        let rows = [
            ("/RPC2", Handler::Rpc),
            ("/RPC2/more", Handler::Rpc),
            ("/rpc2", Handler::Static),
            ("/", Handler::Index),
            ("/index.html", Handler::Index),
            ("/logtail/a/stdout", Handler::Logtail),
            ("/mainlogtail", Handler::MainLogtail),
            ("/events", Handler::Events),
            ("/events/", Handler::Static),
            ("/metrics", Handler::Metrics),
            ("/metrics/a", Handler::Static),
            ("/fleet", Handler::Fleet),
            ("/fleet/a", Handler::Static),
            ("/fleet/live", Handler::FleetLive),
            ("/fleet.html", Handler::FleetPage),
            #[cfg(feature = "fleet")]
            ("/supvisors/api_version", Handler::Rest),
            ("/supvisors", Handler::Static),
            ("/ok.html", Handler::Ok),
            ("/tail.html", Handler::Tail),
            ("/images/icon.png", Handler::Static),
            ("", Handler::Static),
        ];
        for (path, expected) in rows {
            assert_eq!(handler(path), expected, "{path}");
        }
    }
}
