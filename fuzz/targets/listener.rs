//! Event listeners: what they say is the same however it arrives, and no state is left without saying so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::listener::{ListenerState, Protocol, Said};

/// All that was said. Whenever it gets READY, a listener is sent an event at once.
fn said(data: &[u8], step: usize) -> (Vec<String>, ListenerState) {
    let mut protocol = Protocol::default();
    let mut all = Vec::new();
    for mut piece in data.chunks(step) {
        while let Some(said) = protocol.next(&mut piece) {
            let ready = matches!(said, Said::Ready);
            all.push(format!("{said:?}"));
            if ready {
                protocol.sent();
            }
        }
        assert!(piece.is_empty(), "what arrived is used up");
    }
    (all, protocol.state())
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let step = usize::from(*first).max(1);
    assert_eq!(said(data, step), said(data, data.len().max(1)), "in steps of {step}");
});
