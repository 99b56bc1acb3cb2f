//! WebSocket, the server's side (RFC 6455): the answer to a handshake, frames out, and what of a client's frames matters to a
//! server that reads nothing. Headers of frames are tungstenite's.

use std::io::Cursor;

use base64::Engine;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// What is appended to a client's key before it is hashed.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;

/// Why a connection is closed: the server goes away, or the client broke the protocol.
const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;

/// The head that accepts a handshake with this `Sec-WebSocket-Key`.
pub fn accept(key: &str) -> String {
    let hash = sha1_smol::Sha1::from(format!("{key}{GUID}")).digest().bytes();
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {hash}\r\n\r\n"
    )
}

fn frame(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    // Writing to memory cannot fail.
    let _ = header.format(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// Appends a frame of text.
pub fn text(text: &str, out: &mut Vec<u8>) {
    frame(OpCode::Data(Data::Text), text.as_bytes(), out);
}

/// Appends the frame that ends a connection because the server does.
pub fn go_away(out: &mut Vec<u8>) {
    frame(OpCode::Control(Control::Close), &GOING_AWAY.to_be_bytes(), out);
}

/// What a client sends. Its messages are skipped; pings are answered.
#[derive(Debug, Default)]
pub struct Incoming {
    /// The beginning of a frame that is not whole: a header, and the payload of a control frame.
    pending: Vec<u8>,
    /// Bytes of a message that are still to come.
    skipped: u64,
}

impl Incoming {
    /// Takes what has come, and appends what is to be answered; false when the connection is over.
    pub fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let mut bytes = bytes;
        loop {
            let skipped = self.skipped.min(bytes.len() as u64);
            self.skipped -= skipped;
            bytes = &bytes[skipped as usize..];
            if bytes.is_empty() {
                return true;
            }
            let before = self.pending.len();
            // More than a header and a control frame's payload is never needed at once.
            let more = bytes.len().min(14 + CONTROL_BYTES_MAX as usize);
            self.pending.extend_from_slice(&bytes[..more]);
            let mut cursor = Cursor::new(&self.pending[..]);
            let (header, length) = match FrameHeader::parse(&mut cursor) {
                Ok(Some(found)) => found,
                Ok(None) => return true,
                Err(_) => return broken(out),
            };
            let begin = cursor.position() as usize;
            let (OpCode::Control(control), Some(mask)) = (header.opcode, header.mask) else {
                if header.mask.is_none() {
                    return broken(out);
                }
                self.skipped = length;
                bytes = &bytes[begin.saturating_sub(before).min(bytes.len())..];
                self.pending.clear();
                continue;
            };
            if length > CONTROL_BYTES_MAX || !header.is_final {
                return broken(out);
            }
            let end = begin + length as usize;
            let Some(payload) = self.pending.get(begin..end) else {
                if more < bytes.len() {
                    return broken(out);
                }
                return true;
            };
            let payload: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            bytes = &bytes[end.saturating_sub(before).min(bytes.len())..];
            self.pending.clear();
            match control {
                Control::Ping => frame(OpCode::Control(Control::Pong), &payload, out),
                Control::Close => {
                    frame(OpCode::Control(Control::Close), payload.get(..2).unwrap_or_default(), out);
                    return false;
                }
                Control::Pong => {}
                Control::Reserved(_) => return broken(out),
            }
        }
    }
}

fn broken(out: &mut Vec<u8>) -> bool {
    frame(OpCode::Control(Control::Close), &PROTOCOL_ERROR.to_be_bytes(), out);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a client: its first byte and payload, masked.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(0x80 | length as u8),
            length => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    #[test]
    fn the_handshake_of_the_standard() {
        let head = accept("dGhlIHNhbXBsZSBub25jZQ==");
        assert!(head.starts_with("HTTP/1.1 101 ") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    }

    #[test]
    fn frames_out() {
        for (length, header) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (70_000, &[0x81, 127, 0, 0, 0, 0, 0, 1]),
        ] {
            let payload = "x".repeat(length);
            let mut out = Vec::new();
            text(&payload, &mut out);
            assert!(out.starts_with(header) && out.ends_with(payload.as_bytes()), "{length}: {:?}", &out[..2]);
        }
        let mut out = Vec::new();
        go_away(&mut out);
        assert_eq!(out, [0x88, 2, 3, 0xE9]);
    }

    /// What clients send, what is answered, and whether the connection goes on; whole, byte by byte, and behind a message.
    #[test]
    fn what_clients_send() {
        let long = masked(0x82, &[7; 300]);
        let two = [masked(0x81, b"hello"), masked(0x89, b"ab")].concat();
        let rows: &[(&[u8], &[u8], bool)] = &[
            (&masked(0x81, b"hello"), &[], true),
            (&long, &[], true),
            (&masked(0x89, b"hey"), &[0x8A, 3, b'h', b'e', b'y'], true),
            (&masked(0x89, &[9; 125])[..], &[&[0x8A, 125][..], &[9; 125]].concat(), true),
            (&masked(0x8A, b"hey"), &[], true),
            (&two, &[0x8A, 2, b'a', b'b'], true),
            (&masked(0x88, &[3, 0xE8, b'b', b'y', b'e']), &[0x88, 2, 3, 0xE8], false),
            (&masked(0x88, &[]), &[0x88, 0], false),
            // No mask; a control frame that is too long, or in pieces; an unknown one.
            (&[0x81, 1, b'x'], &[0x88, 2, 3, 0xEA], false),
            (&masked(0x89, &[0; 126]), &[0x88, 2, 3, 0xEA], false),
            (&masked(0x09, b"x"), &[0x88, 2, 3, 0xEA], false),
        ];
        for (sent, expected, goes_on) in rows {
            for piece in [1, 3, 64, sent.len()] {
                for before in [&[][..], &long] {
                    let (mut incoming, mut out, mut open) = (Incoming::default(), Vec::new(), true);
                    for bytes in [before, sent].concat().chunks(piece) {
                        open = open && incoming.take(bytes, &mut out);
                    }
                    assert_eq!((out.as_slice(), open), (*expected, *goes_on), "{sent:?} in pieces of {piece}");
                    assert!(incoming.pending.len() < 256, "{sent:?}");
                }
            }
        }
    }
}
