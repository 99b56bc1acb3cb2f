//! Calls and answers: any bytes are decoded or refused, alike with and without the XML library; what was decoded survives
//! being written and read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::xmlrpc::{decode_call, decode_response, encode_call};

fuzz_target!(|data: &[u8]| {
    // Only the library reads what ends with a comment.
    let commented = [data, b"<!---->"].concat();
    if let Ok(answer) = decode_response(data) {
        assert_eq!(Ok(answer), decode_response(&commented));
    }
    let Ok(call) = decode_call(data) else { return };
    assert_eq!(Ok(&call), decode_call(&commented).as_ref());
    // Written once, characters that XML cannot carry are gone; from then on nothing may change.
    let first = encode_call(&call.method, &call.params);
    let again = decode_call(&first).expect("what we write can be read");
    let second = encode_call(&again.method, &again.params);
    assert_eq!(String::from_utf8_lossy(&first), String::from_utf8_lossy(&second));
});
