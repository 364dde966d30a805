use proptest::prelude::*;

use super::*;
use crate::types::limits::AUTH_FRAME_BYTES_MAX;

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (u32::try_from(body.len()).unwrap() + 8).to_be_bytes().to_vec();
    bytes.extend(code.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn startup(minor: u32, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in pairs {
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    packet(3 << 16 | minor, &body)
}

fn message_of(minor: u32, pairs: &[(&str, &str)]) -> Result<StartupMessage, ClientError> {
    let bytes = startup(minor, pairs);
    match parse(&bytes)? {
        Some((StartupPacket::Startup(message), length)) if length == bytes.len() => Ok(message),
        other => panic!("{other:?}"),
    }
}

fn error_of(bytes: &[u8]) -> SqlState {
    parse(bytes).unwrap_err().state
}

fn settings_of(options: &str) -> Result<Vec<(String, String)>, SqlState> {
    message_of(0, &[("user", "u"), ("options", options)]).map(|m| m.settings).map_err(|e| e.state)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn requests_before_the_startup_message() {
    assert_eq!(parse(&packet(SSL_CODE, b"")).unwrap(), Some((StartupPacket::SslRequest, 8)));
    assert_eq!(parse(&packet(GSSENC_CODE, b"")).unwrap(), Some((StartupPacket::GssEncRequest, 8)));
    for bytes in [packet(SSL_CODE, b"x"), packet(GSSENC_CODE, b"x")] {
        assert_eq!(error_of(&bytes), SqlState::PROTOCOL_VIOLATION);
    }
    // What follows is left alone.
    let mut bytes = packet(SSL_CODE, b"");
    bytes.extend(b"more");
    assert_eq!(parse(&bytes).unwrap(), Some((StartupPacket::SslRequest, 8)));
}

#[test]
fn cancel_keys_of_both_protocol_versions() {
    for size in [4, 32, 256] {
        let mut body = 77_u32.to_be_bytes().to_vec();
        body.extend(vec![9; size]);
        let (packet, _) = parse(&packet(CANCEL_CODE, &body)).unwrap().unwrap();
        assert_eq!(packet, StartupPacket::Cancel { process_id: 77, secret: vec![9; size] });
    }
    for size in [0, 3, 7, 4 + 257] {
        assert_eq!(error_of(&packet(CANCEL_CODE, &vec![1; size])), SqlState::PROTOCOL_VIOLATION);
    }
}

#[test]
fn parameters_keep_their_order_and_options_come_first() {
    let message = message_of(
        0,
        &[
            ("user", "ada"),
            ("application_name", "x"),
            ("options", "-c geqo=off --search-path=a,b"),
            ("DateStyle", "ISO"),
            ("replication", "off"),
        ],
    )
    .unwrap();
    assert_eq!((message.user.as_str(), message.database.as_str()), ("ada", "ada"));
    let expected = [("geqo", "off"), ("search_path", "a,b"), ("application_name", "x"), ("DateStyle", "ISO")];
    assert_eq!(message.settings, pairs(&expected));
    let named = message_of(0, &[("database", "shop"), ("user", "ada")]).unwrap();
    assert_eq!(named.database, "shop");
    let empty = message_of(0, &[("database", ""), ("user", "ada")]).unwrap();
    assert_eq!(empty.database, "ada");
}

#[test]
fn options_split_as_postgres_splits_them() {
    let expected = pairs(&[("a", "b c"), ("d", "\\"), ("e", ""), ("f", "g=h")]);
    assert_eq!(settings_of("  -c a=b\\ c\t-cd=\\\\ --e= -c f=g=h ").unwrap(), expected);
    assert_eq!(settings_of("").unwrap(), []);
    for wrong in ["-c", "-c a", "--a", "-e", "word", "-c =b", "--=b", "\\"] {
        assert_eq!(settings_of(wrong), Err(SqlState::SYNTAX_ERROR), "{wrong}");
    }
}

#[test]
fn versions_are_negotiated() {
    let answer = |minor, pairs: &[(&str, &str)]| {
        let message = message_of(minor, pairs).unwrap();
        let mut outbound = BytesMut::new();
        message.version.negotiate(&mut outbound);
        (message.version.minor, outbound.to_vec())
    };
    let user = ("user", "u");
    assert_eq!(answer(0, &[user]), (0, vec![]));
    assert_eq!(answer(2, &[user]), (2, vec![]));
    assert_eq!(answer(1, &[user]), (0, b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0".to_vec()));
    assert_eq!(answer(9999, &[user]), (2, b"v\0\0\0\x0c\0\x03\0\x02\0\0\0\0".to_vec()));
    let option = ("_pq_.x", "1");
    assert_eq!(answer(0, &[user, option]), (0, b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0".to_vec()));
    for version in [2 << 16, 4 << 16, 1 << 16, 1234 << 16 | 5681, 0x4745_5420] {
        assert_eq!(error_of(&packet(version, b"\0")), SqlState::FEATURE_NOT_SUPPORTED);
    }
}

#[test]
fn refusals() {
    assert_eq!(message_of(0, &[]).unwrap_err().state, SqlState::INVALID_AUTHORIZATION);
    assert_eq!(message_of(0, &[("user", "")]).unwrap_err().state, SqlState::INVALID_AUTHORIZATION);
    let replication = |value| message_of(0, &[("user", "u"), ("replication", value)]).unwrap_err().state;
    assert_eq!(replication("database"), SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(replication("TRUE"), SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(replication("maybe"), SqlState::INVALID_PARAMETER_VALUE);
    for body in [&b"user\0u\0"[..], b"user\0u", b"user\0u\0\0x", b"user\0\xff\0\0", b""] {
        assert_eq!(error_of(&packet(3 << 16, body)), SqlState::PROTOCOL_VIOLATION, "{body:?}");
    }
    // A length alone is enough to refuse; nothing waits for bytes that were only claimed.
    for length in [0_u32, 7, 10_001, u32::MAX, u32::from_be_bytes(*b"GET ")] {
        assert_eq!(error_of(&length.to_be_bytes()), SqlState::PROTOCOL_VIOLATION);
    }
}

#[test]
fn password_frames() {
    let frame = parse_password_frame(b"p\0\0\0\x07ab\0more").unwrap().unwrap();
    assert_eq!((frame.length, frame.password().unwrap()), (8, &b"ab"[..]));
    assert_eq!(parse_password_frame(b"").unwrap(), None);
    assert_eq!(parse_password_frame(b"p\0\0").unwrap(), None);
    assert_eq!(parse_password_frame(b"p\0\0\0\x07ab").unwrap(), None);
    for wrong in [&b"Q\0\0\0\x05\0"[..], b"p\0\0\0\x03", b"p\0\x01\0\0", b"p\xff\xff\xff\xff"] {
        assert_eq!(parse_password_frame(wrong).unwrap_err().state, SqlState::PROTOCOL_VIOLATION);
    }
    for wrong in [&b"p\0\0\0\x04"[..], b"p\0\0\0\x06ab", b"p\0\0\0\x08a\0b\0"] {
        parse_password_frame(wrong).unwrap().unwrap().password().unwrap_err();
    }
    let initial = b"p\0\0\0\x0fSCRAM\0\0\0\0\x01x";
    let frame = parse_password_frame(initial).unwrap().unwrap();
    assert_eq!(frame.sasl_initial().unwrap(), ("SCRAM", &b"x"[..]));
    for body in [&b"SCRAM"[..], b"SCRAM\0", b"SCRAM\0\xff\xff\xff\xff", b"SCRAM\0\0\0\0\x02x", b"S\0\0\0\0\0x"] {
        PasswordFrame { body, length: 0 }.sasl_initial().unwrap_err();
    }
}

proptest! {
    #[test]
    fn startup_never_panics_nor_reads_past_its_frame(bytes in arbitrary_packet(), tail in proptest::collection::vec(any::<u8>(), 0..64)) {
        let alone = parse(&bytes);
        if let Ok(Some((_, length))) = &alone {
            prop_assert!(*length <= bytes.len() && *length <= STARTUP_FRAME_BYTES_MAX);
            let mut followed = bytes[..*length].to_vec();
            followed.extend(tail);
            prop_assert_eq!(parse(&followed), alone);
        }
    }

    #[test]
    fn passwords_never_panic_nor_read_past_their_frame(length in 0_u32..80, body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = vec![b'p'];
        bytes.extend(length.to_be_bytes());
        bytes.extend(&body);
        if let Ok(Some(frame)) = parse_password_frame(&bytes) {
            prop_assert!(frame.length <= bytes.len() && frame.length <= AUTH_FRAME_BYTES_MAX + 1);
            prop_assert_eq!(frame.body.len() + 5, frame.length);
            let _ = frame.password();
            let _ = frame.sasl_initial();
        }
    }
}

/// Packets that get past the first checks: true lengths, known codes, plausible parameters.
fn arbitrary_packet() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![
        Just(3 << 16),
        Just(3 << 16 | 2),
        Just(SSL_CODE),
        Just(GSSENC_CODE),
        Just(CANCEL_CODE),
        any::<u32>()
    ];
    let word = prop_oneof![Just("user".to_owned()), Just("options".to_owned()), Just("-c a=b".to_owned()), ".{0,8}"];
    let text = proptest::collection::vec(word, 0..8).prop_map(|words| (words.join("\0") + "\0\0").into_bytes());
    let body = prop_oneof![text, proptest::collection::vec(any::<u8>(), 0..300)];
    let framed = (code, body).prop_map(|(code, body)| packet(code, &body));
    prop_oneof![3 => framed, 1 => proptest::collection::vec(any::<u8>(), 0..40)]
}
