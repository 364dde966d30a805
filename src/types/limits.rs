//! Every bound of the program in one place, each with its reason.

/// Bytes of a frame before authentication: a startup packet or a cancel request. PostgreSQL allows
/// 10,000 as well (MAX_STARTUP_PACKET_LENGTH in its source).
pub const STARTUP_FRAME_BYTES_MAX: usize = 10_000;

/// Bytes of a frame during authentication: passwords and SASL messages (PG_MAX_AUTH_TOKEN_LENGTH).
pub const AUTH_FRAME_BYTES_MAX: usize = 65_535;

/// Bytes of any later frame: PostgreSQL's own limit for a message (1 GiB less one, MaxAllocSize).
pub const FRAME_BYTES_MAX: usize = 0x3fff_ffff;

/// Operators, parentheses and commas nested or chained in one statement that the parser is asked to
/// read. Beyond it the syntax tree could overflow the parser's stack; such statements are treated
/// as not parsed.
pub const STATEMENT_TOKENS_MAX: usize = 200_000;

/// Nesting of parentheses, brackets and CASE that the parser is asked to read.
pub const STATEMENT_DEPTH_MAX: usize = 200;

/// Stack of a parser thread. The parser recurses once a chained operator when it drops its tree.
pub const PARSER_STACK_BYTES: usize = 64 << 20;

/// Templates kept for a database. A template of an ordinary statement takes 1 to 4 KiB.
pub const TEMPLATES_MAX: usize = 10_000;

/// Bytes of a statement above which lexing and planning leave the session's thread, so that one huge
/// statement doesn't stall the other clients (a lexer reads about 1 GB/s: 64 KiB take 60 us).
pub const INLINE_STATEMENT_BYTES_MAX: usize = 64 << 10;

/// Threads that run sessions. More than any machine has cores for; catches a misplaced number.
pub const WORKERS_MAX: usize = 1024;

/// Clients admitted at once; each holds a file descriptor, and Linux allows a process about a million.
pub const CLIENTS_MAX: usize = 1_000_000;

/// Backend connections of one pool; PostgreSQL's own max_connections ends at 262,143.
pub const POOL_SIZE_MAX: usize = 262_143;

/// Prepared statements kept on one backend connection. Each takes tens of KiB on the server.
pub const PREPARED_STATEMENTS_MAX: usize = 100_000;

/// Shards of a database: with more than there are buckets some would get no rows.
pub const SHARDS_MAX: usize = crate::types::Bucket::COUNT as usize;

/// Bytes of a name: PostgreSQL cuts longer ones (NAMEDATALEN - 1), so that they could never match.
pub const NAME_BYTES_MAX: usize = 63;

/// The longest time-out that a configuration may ask for; longer ones are mistakes in the unit.
pub const TIMEOUT_MAX: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// Bytes of a file that the configuration names: a password, a key, certificates. The bundle of all
/// authorities of a distribution has about 250 KiB.
pub const NAMED_FILE_BYTES_MAX: u64 = 4 << 20;

/// Digits of a numeric shard key, and the highest power of ten in its exponent. PostgreSQL allows 147,455
/// digits; comparing two numbers writes out the difference of their exponents.
pub const NUMERIC_KEY_DIGITS_MAX: usize = 1_000;

const _: () = assert!(STARTUP_FRAME_BYTES_MAX < AUTH_FRAME_BYTES_MAX && AUTH_FRAME_BYTES_MAX < FRAME_BYTES_MAX);

/// Bytes that the first read of a connection offers the socket: a turn of pgbench or of an ORM fits.
pub const READ_BYTES_FIRST: u32 = 8 << 10;

/// Bytes that a read offers at most; it doubles up to this while reads fill it. Beyond 64 KiB the
/// cost of a system call disappears next to the copy.
pub const READ_BYTES_MAX: u32 = 64 << 10;

/// Bytes of a cancel key: protocol 3.2 allows 4 to 256, 3.0 has exactly 4.
pub const CANCEL_SECRET_BYTES_MIN: usize = 4;
/// See [`CANCEL_SECRET_BYTES_MIN`].
pub const CANCEL_SECRET_BYTES_MAX: usize = 256;

/// Bytes that a server may send before it is ready: dozens of ParameterStatus messages and a few
/// notices take under 10 KiB; more than this is not PostgreSQL.
pub const HANDSHAKE_BYTES_MAX: usize = 1 << 20;

/// How long a control-plane connection may take to be ready, and a cancel request to be taken.
pub const CONTROL_CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How long the last words to a refused client may take; it may not be reading.
pub const FAREWELL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// TCP keepalive both ways: a peer that vanished is noticed after two minutes instead of the
/// system's two hours.
pub const KEEPALIVE_IDLE: std::time::Duration = std::time::Duration::from_secs(60);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(15);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_PROBES: u32 = 4;

/// How long `check` waits for one server's answers; reading a catalog of 10,000 tables takes seconds.
pub const CHECK_NODE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
