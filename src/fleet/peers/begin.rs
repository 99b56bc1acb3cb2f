//! The network is opened: keys, addresses, the socket of datagrams.

use super::discovery::{Discovery, place_text};
use super::names::Names;
use super::streams::next_chance;
use super::{Net, Peers};
use crate::clock::{Mono, Now};
use crate::config::fleet::{Detection, Supvisors, SupvisorsOptions};
use crate::daemon::Host;
use crate::fleet::peers::complaints::Complaints;
use crate::id::IdMap;
use crate::model::fleet::membership::{Membership, Pace};
use crate::model::fleet::session::Me;
use crate::wire::fleet::key::Key;

impl Peers {
    /// Opens the network, if there is anybody else, or may be.
    pub fn begin(&mut self, supvisors: &Supvisors, now: Now, host: &mut dyn Host) {
        let Some((own, network)) = supvisors.instances.own().zip(self.own.map(|_| &supvisors.network)) else { return };
        let secret = network.secret.as_ref().map(|secret| secret.0.as_bytes());
        if secret.is_none() {
            activity!(
                Warn,
                "fleet: open to anyone who reaches port {}, for there is neither a cluster_secret nor a password",
                network.port
            );
        }
        let random = host.random();
        let (boot, seed) = random.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let me = Me {
            identifier: own.identifier.clone(),
            boot: number(boot),
            key: Key::of_secret(secret.unwrap_or_default()),
            options: checked_options(&supvisors.options),
            nick: own.nick.clone(),
            place: place_text(network),
        };
        let pace = match network.detection {
            Detection::Normal => Pace::NORMAL,
            Detection::Fast => Pace::FAST,
        };
        let bound = host.resolve(&network.bind, network.port);
        match bound {
            None => activity!(Warn, "fleet: {} is no address for datagrams; all goes by streams", network.bind),
            Some(address) => {
                if let Err(error) = host.open_datagrams(address) {
                    activity!(Warn, "fleet: no datagrams at {address}: {error}; all goes by streams");
                }
            }
        }
        let is_v6 = bound.is_some_and(|address| address.is_ipv6());
        let shared_port = network.has_own_port.then_some(network.port);
        let (mut chance, mut names) = (number(&seed[..8]), Names::default());
        for (place, (instance, peer)) in supvisors.instances.all.iter().zip(&mut self.all).enumerate() {
            if place == supvisors.instances.own {
                continue;
            }
            (peer.host, peer.port) = (instance.host.clone(), shared_port.unwrap_or(instance.port));
            names.want(&peer.host, now.mono);
            peer.retry_at = Some(now.mono.after(peer.first_pause(&me.identifier, next_chance(&mut chance))));
        }
        let all = self.all.iter().map(|peer| peer.identifier.as_str());
        let membership = Membership::new(&me.identifier, all, me.boot, pace, number(&seed[8..16]));
        self.net = Some(Box::new(Net {
            me,
            pace,
            membership,
            streams: IdMap::default(),
            dirty: Vec::new(),
            doomed: Vec::new(),
            counter: 0,
            chance,
            complaints: Complaints::default(),
            port: network.port,
            shared_port,
            is_v6,
            names,
            discovery: Discovery::begin(network, now.mono, host),
            due: Some(Mono(0)),
        }));
    }

    /// How often somebody was refused, or did not keep to the protocol.
    pub fn refusals(&self) -> u64 {
        self.net.as_ref().map_or(0, |net| net.complaints.count)
    }
}

/// What has to be the same with all (V-51), as it is written in a file.
fn checked_options(options: &SupvisorsOptions) -> String {
    format!(
        "auto_fence={} supvisors_failure_strategy={} starting_strategy={} conciliation_strategy={}",
        options.auto_fence,
        options.supvisors_failure_strategy.name(),
        options.starting_strategy.name(),
        options.conciliation_strategy.name()
    )
}
