use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::sys::scratch::Scratch;
use crate::sys::users;

fn mode_of(path: &str) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn names(scratch: &Scratch) -> Vec<String> {
    fs::read_dir(scratch.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_socket_file_has_its_mode_whatever_the_umask() {
    let scratch = Scratch::new("unix");
    let path = scratch.path("sock");
    for mode in [0o700, 0o777, 0o000, 0o660] {
        let listener = listen_unix(&path, mode, None).unwrap();
        assert_eq!(mode_of(&path), mode);
        assert_eq!(names(&scratch), ["sock"]);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        fs::remove_file(&path).unwrap();
    }
    // At birth it has at most its mode, before any chmod.
    let _bound = bind_unix(&path, 0o600).unwrap();
    assert_eq!(mode_of(&path), 0o600);
}

#[test]
fn a_socket_in_use_is_left_alone_and_a_stale_one_replaced() {
    let scratch = Scratch::new("stale");
    let path = scratch.path("sock");
    let living = listen_unix(&path, 0o700, None).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    // A server that answers, and one that has closed its side at once.
    living.set_nonblocking(false).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = living.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        living
    });
    assert_eq!(listen_unix(&path, 0o700, None).unwrap_err(), ListenError::InUse);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    drop(server.join().unwrap());

    let listener = listen_unix(&path, 0o700, None).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(names(&scratch), ["sock"]);
    drop(listener);

    // Something else than a socket is stale as well.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    listen_unix(&path, 0o700, None).unwrap();
}

#[test]
fn a_socket_without_room_is_waited_for_as_long_as_we_like() {
    let scratch = Scratch::new("full");
    let path = scratch.path("sock");
    let bound = bind_unix(&path, 0o700).unwrap();
    listen(bound.as_raw_fd(), 1).unwrap();
    let patience = Duration::from_millis(50);
    // However many the system lets in: it must not be for ever.
    let mut clients = Vec::new();
    let error = loop {
        match connect_unix(&path, patience) {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    // Somebody lives there: it is in use.
    assert_eq!(listen_unix(&path, 0o700, None).unwrap_err(), ListenError::InUse);
    let listener = UnixListener::from(bound);
    listener.accept().unwrap();
    connect_unix(&path, Duration::from_secs(10)).unwrap();
}

#[test]
fn refusals() {
    let scratch = Scratch::new("refusals");
    let long = scratch.path(&"x".repeat(120));
    let rows =
        [(scratch.path("no/sock"), ListenError::System(libc::ENOENT)), (long, ListenError::System(libc::ENAMETOOLONG))];
    for (path, expected) in rows {
        assert_eq!(listen_unix(&path, 0o700, None).unwrap_err(), expected, "{path}");
    }
    let text = ListenError::System(libc::EADDRNOTAVAIL).to_string();
    assert_eq!(text, "Cannot open an HTTP server: socket.error reported errno.EADDRNOTAVAIL (99)");
    let chown = ListenError::Chown { path: "/s".to_string(), owner: Owner { uid: 0, gid: None } }.to_string();
    assert!(chown.starts_with("Not permitted to chown /s to uid/gid (0, -1); adjust \"sockchown\" value"), "{chown}");
    assert_eq!(names(&scratch), [] as [&str; 0]);
}

#[test]
fn an_owner_is_set() {
    let scratch = Scratch::new("owner");
    let path = scratch.path("sock");
    let own = Owner { uid: users::current_uid(), gid: None };
    listen_unix(&path, 0o700, Some(own)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), own.uid);
    fs::remove_file(&path).unwrap();
    let other = Owner { uid: 12_345, gid: Some(23_456) };
    if own.uid == 0 {
        listen_unix(&path, 0o660, Some(other)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (12_345, 23_456, 0o660));
    } else {
        let refused = ListenError::Chown { path: path.clone(), owner: other };
        assert_eq!(listen_unix(&path, 0o660, Some(other)).unwrap_err(), refused);
        assert_eq!(names(&scratch), [] as [&str; 0]);
    }
}

#[test]
fn inet_listens_on_both_kinds_of_addresses() {
    let listener = listen_inet("::1", 0).unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(listen_inet("2001:db8::1", 1).unwrap_err(), ListenError::System(libc::EADDRNOTAVAIL));
    assert_eq!(listen_inet("no such name", 1).unwrap_err(), ListenError::UnknownHost);
    let listener = listen_inet("127.0.0.1", 0).unwrap();
    let address = listener.local_addr().unwrap();
    TcpStream::connect(address).unwrap();
    let taken = listen_inet("localhost", address.port());
    assert_eq!(taken.unwrap_err(), ListenError::InUse);
    // TEST-NET-1 is nobody's address.
    assert_eq!(listen_inet("192.0.2.1", 1).unwrap_err(), ListenError::System(libc::EADDRNOTAVAIL));
}

#[test]
fn fcgi_sockets() {
    let scratch = Scratch::new("fcgi");
    let path = scratch.path("sock");
    let unix = |path: &str, mode| {
        let address = FcgiAddress::Unix { path: path.to_string(), owner: None, mode };
        FcgiSocket { url: format!("unix://{path}"), address, backlog: Some(5) }
    };
    // What was there goes; what is there at the end stays (P-102).
    fs::write(&path, "").unwrap();
    let socket = listen_fcgi(&unix(&path, 0o770)).unwrap();
    assert_eq!(mode_of(&path), 0o770);
    UnixStream::connect(&path).unwrap();
    drop(socket);
    assert!(fs::exists(&path).unwrap());
    let error = listen_fcgi(&unix(&scratch.path("no/sock"), 0o700)).unwrap_err();
    assert_eq!(error, "[Errno 2] No such file or directory");

    let tcp = |port| {
        let address = FcgiAddress::Tcp { host: "127.0.0.1".to_string(), port };
        FcgiSocket { url: String::new(), address, backlog: None }
    };
    let socket = TcpListener::from(listen_fcgi(&tcp(0)).unwrap());
    let taken = listen_fcgi(&tcp(socket.local_addr().unwrap().port())).unwrap_err();
    assert_eq!(taken, "[Errno 98] Address already in use");
}
