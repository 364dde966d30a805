//! Every bound of the program in one place, each with its reason.

use std::time::Duration;

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

/// Productions nested in one another that the parser may enter: a parenthesis takes up to three. More
/// than [`STATEMENT_DEPTH_MAX`] because NOT and unary operators nest without parentheses.
pub const PARSER_RECURSION_MAX: usize = 700;

/// Stack of a parser thread. The parser recurses once a chained operator when it drops its tree.
pub const PARSER_STACK_BYTES: usize = 64 << 20;

/// Templates kept for a database. A template of an ordinary statement takes 1 to 4 KiB.
pub const TEMPLATES_MAX: usize = 10_000;

/// Bytes that all of them may take, roughly: statements of megabytes make room for themselves among each
/// other, and one that is larger than its share isn't kept.
pub const TEMPLATES_BYTES_MAX: u64 = 128 << 20;

/// Bytes of a statement above which lexing and planning leave the session's thread, so that one huge
/// statement doesn't stall the other clients (a lexer reads about 1 GB/s: 64 KiB take 60 us).
pub const INLINE_STATEMENT_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(STARTUP_FRAME_BYTES_MAX < AUTH_FRAME_BYTES_MAX && AUTH_FRAME_BYTES_MAX < FRAME_BYTES_MAX);

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

/// Columns that are kept unique together over all shards: what a note of a changed row has places for.
pub const UNIQUE_COLUMNS_MAX: usize = 4;

/// How long what was found missing of columns that are kept unique is believed: backfills take longer.
pub const CLAIMS_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Rows that a backfill locks at a time: some milliseconds of work.
pub const BACKFILL_ROWS: usize = 500;

/// How often a backfill tries again to lock rows, or the table, that clients have locked, and how long it waits between.
pub const BACKFILL_RETRIES_MAX: u64 = 60;
pub const BACKFILL_RETRY: Duration = Duration::from_millis(500);

/// Differences between claims and rows that are looked at again: what is being written meanwhile differs for a moment.
pub const CLAIMS_DIFFERENCES_MAX: usize = 10_000;

/// How often, and how long after, such a difference is looked at again before it is believed.
pub const CLAIMS_RECHECKS: usize = 5;
pub const CLAIMS_RECHECK: Duration = Duration::from_secs(1);

/// Bytes of a name: PostgreSQL cuts longer ones (NAMEDATALEN - 1), so that they could never match.
pub const NAME_BYTES_MAX: usize = 63;

/// The longest time-out that a configuration may ask for; longer ones are mistakes in the unit.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bytes of a file that the configuration names: a password, a key, certificates. The bundle of all
/// authorities of a distribution has about 250 KiB.
pub const NAMED_FILE_BYTES_MAX: u64 = 4 << 20;

/// How long `check` waits for one server's answers; reading a catalog of 10,000 tables takes seconds.
pub const CHECK_NODE_TIMEOUT: Duration = Duration::from_secs(60);

/// Digits of a numeric shard key, and the highest power of ten in its exponent. PostgreSQL allows 147,455
/// digits; comparing two numbers writes out the difference of their exponents.
pub const NUMERIC_KEY_DIGITS_MAX: usize = 1_000;

const _: () = assert!(STARTUP_FRAME_BYTES_MAX < AUTH_FRAME_BYTES_MAX && AUTH_FRAME_BYTES_MAX < FRAME_BYTES_MAX);

/// Bytes that the first read of a connection offers the socket: a turn of pgbench or of an ORM fits.
pub const READ_BYTES_FIRST: u32 = 8 << 10;

/// Bytes that a read offers at most; it doubles up to this while reads fill it. Beyond 64 KiB the
/// cost of a system call disappears next to the copy.
pub const READ_BYTES_MAX: u32 = 64 << 10;

/// Bytes of a message, and parameters of an execution, that may go the short way: what clients send thousands of
/// times a second is short.
pub const QUICK_STATEMENT_BYTES_MAX: usize = 4 << 10;
/// See [`QUICK_STATEMENT_BYTES_MAX`].
pub const QUICK_PARAMETERS_MAX: usize = 16;

/// Shapes of statements that each worker recognises without lexing: at most 4 MiB.
pub const RECENT_SHAPES: usize = 256;

/// How many statements in a row find a recent shape's place taken before it is theirs.
pub const RECENT_MISSES_MAX: u8 = 4;

/// Reads of one connection that find something at once, one after the other, before others have a turn.
pub const READS_IN_A_ROW_MAX: u8 = 64;

/// Empty buffers of [`READ_BYTES_FIRST`] that a thread keeps for the next client with a request, of each
/// direction: one for each that is served at once or waits for a connection, and half a megabyte at most.
pub const SPARE_BUFFERS_MAX: usize = 64;

/// How long a node whose connect failed is left alone: long enough not to hammer it, short enough
/// that a restart isn't noticed as an outage.
pub const NODE_RETRY_AFTER: Duration = Duration::from_millis(250);

/// Replies up to this size are copied into the client's buffer, which saves a write; longer ones are
/// written straight from the server's buffer, which saves the copy.
pub const RELAY_COPY_BYTES_MAX: usize = 16 << 10;

/// Bytes that a client may send ahead while its statement runs, before they are left in its socket: they are
/// read only to learn whether it is still there.
pub const CLIENT_AHEAD_BYTES_MAX: usize = 64 << 10;

/// How often in a row somebody who waits for a connection is passed over for somebody on the worker that has it:
/// moving a connection to another worker costs as much as half a transaction.
pub const PASSED_OVER_MAX: u32 = 64;

/// Rows and bytes that one statement may gather from the shards: what a scratch database takes in within a
/// minute or so.
pub const GATHER_ROWS_MAX: u64 = 50_000_000;
pub const GATHER_BYTES_MAX: u64 = 8 << 30;

/// Rows of a gathered table from which on it is analysed: without statistics a join of a million rows took four times as
/// long, with a plan for a hundred million; analysing takes a tenth of a second.
pub const GATHER_ANALYZE_ROWS_MIN: u64 = 5_000;

/// Cursors and portals of one client over gathered rows: each holds locks on the scratch database's server, which has
/// some six thousand for everybody.
pub const GATHERS_OPEN_MAX: u16 = 256;

/// Scratch connections of one user: each may hold a large part of a table.
pub const SCRATCH_CONNECTIONS_MAX: usize = 8;

/// Bytes of a client's COPY queued for a server that reads slowly.
pub const COPY_QUEUE_BYTES_MAX: usize = 256 << 10;

/// How long delivering a cancel to one server may take; meanwhile its backend isn't given to others.
pub const CANCEL_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a KILL waits for a session with a server at work to end before it cancels that again, and how often it
/// does: a statement that is on its way to the server takes a moment, not seconds.
pub const KILL_REPEAT_AFTER: Duration = Duration::from_millis(200);
pub const KILL_REPEATS_MAX: u32 = 25;
/// How long the shards of a write may go on when one of them has failed: most are done by then.
pub const LAST_WORDS_WAIT: Duration = Duration::from_millis(200);
/// Parameters of one INSERT of rows that move to another shard; the protocol has 65,535, of which the client's own
/// are some.
pub const MOVED_PARAMETERS_MAX: usize = 30_000;
/// The same where rows of an INSERT are divided: an error of an earlier row, which one server would tell instead, may
/// still come. As long as a statement on several shards waits for a lock while servers can't be asked about deadlocks.
pub const EARLIER_ERROR_WAIT_MAX: Duration = Duration::from_secs(10);

/// Bytes of extended-protocol messages collected before they are sent on without their Sync.
pub const TURN_BYTES_MAX: usize = 256 << 10;

/// Replies awaited before a turn is sent on without its Sync: a message without a body takes more memory
/// here than on the wire.
pub const TURN_MESSAGES_MAX: usize = 10_000;

/// Parses that wait for the Bind that says where they are wanted.
pub const UNPLACED_MAX: usize = 100;

/// Prepared statements that one client may hold. PostgreSQL has no bound but its memory; this one
/// stops a client that never closes any.
pub const CLIENT_STATEMENTS_MAX: usize = 20_000;

/// Bytes of buffer that an idle backend connection keeps: an ordinary turn's worth, so that the next
/// lease doesn't begin with an allocation.
pub const IDLE_BUFFER_BYTES_MAX: usize = 32 << 10;

/// Bytes of RETURNING that one shard's part of a write may give: they are kept until all shards have written, since
/// the client is to be told of all or of none. A thousand rows of ten columns take some 200 KiB.
pub const COLLECTED_BYTES_MAX: usize = 64 << 20;

/// Bytes of rows that the parts of a statement which runs in stages may tell each other: they are sent to each shard as
/// a part of a text, which takes the server's parser a few times as much memory.
pub const STAGED_BYTES_MAX: usize = 16 << 20;

/// How long rolling back what a vanished client left may take before its connection is closed instead.
pub const CLEAN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Bytes of a cancel key: protocol 3.2 allows 4 to 256, 3.0 has exactly 4.
pub const CANCEL_SECRET_BYTES_MIN: usize = 4;
/// See [`CANCEL_SECRET_BYTES_MIN`].
pub const CANCEL_SECRET_BYTES_MAX: usize = 256;

/// Bytes that a server may send before it is ready: dozens of ParameterStatus messages and a few
/// notices take under 10 KiB; more than this is not PostgreSQL.
pub const HANDSHAKE_BYTES_MAX: usize = 1 << 20;

/// The highest process id that a system gives (Linux's PID_MAX_LIMIT): those that clients are told are above it, so that a
/// number never means both.
pub const SYSTEM_PROCESS_ID_MAX: u32 = 1 << 22;

/// A server's message of an authentication that Shardway answers itself: the longest lists mechanisms.
pub const AUTHENTICATION_BYTES_MAX: usize = 4_096;

/// How long a control-plane connection may take to be ready, and a cancel request to be taken.
pub const CONTROL_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last words to a refused client may take; it may not be reading.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server that stops still speaks with clients that it hasn't let in yet: enough to tell those that are
/// just coming, too short to be noticed by who waits for the stop.
pub const GREET_WHILE_DRAINING_MAX: Duration = Duration::from_millis(500);

/// TCP keepalive both ways: a peer that vanished is noticed after two minutes instead of the
/// system's two hours.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_PROBES: u32 = 4;

/// Users of a database of which is remembered what they have proved, and those that a server was asked for.
pub const ACCOUNTS_MAX: usize = 10_000;

/// How long a user may be looked up on a server: less than a client has for logging in.
pub const AUTH_QUERY_TIMEOUT: Duration = Duration::from_secs(8);

/// How long one of the servers may take to be ready for that, before another is asked.
pub const AUTH_NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// Sets of start-up settings for which the servers' reported parameters are remembered, for each user
/// of a database. Applications use a handful.
pub const GREETINGS_MAX: usize = 1_000;

/// Sets of session settings remembered as accepted, for each node; forgetting one costs a round trip.
pub const ACCEPTED_SETTINGS_MAX: usize = 10_000;

/// New statements that wait for a parser thread. Each is answered by an error beyond that; a burst of
/// this size takes some 50 ms.
pub const PARSER_QUEUE_MAX: usize = 1_000;

/// How often idle and old backend connections are looked for.
pub const REAP_INTERVAL: Duration = Duration::from_secs(5);

/// How often a database's catalog is read again, besides whenever DDL was seen: a view that somebody
/// changed on a server directly is known after this at the latest.
pub const CATALOG_REFRESH: Duration = Duration::from_secs(30);

/// How long reading a catalog waits for a lock: less than the second after which PostgreSQL looks for deadlocks, so
/// that it is never a client that is ended for one with us.
pub const CATALOG_LOCK_WAIT_MAX: Duration = Duration::from_millis(200);

/// How soon a catalog that couldn't be read is tried again.
pub const CATALOG_RETRY: Duration = Duration::from_secs(1);

/// How long a database whose home shard has answered waits for the records of the other shards before it
/// serves: a server that is up answers in milliseconds, and one that isn't shouldn't hold the others up.
pub const RECORDS_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long a new statement waits for the catalog to be read, at the start and again after DDL.
pub const CATALOG_WAIT_MAX: Duration = Duration::from_secs(5);

/// Statements of different shapes that are counted apart, for each database. Each takes about a kilobyte.
pub const OBSERVED_STATEMENTS_MAX: usize = 2_000;

/// Bytes of a statement's text that are kept for operators; two that are equal so far are counted together.
pub const OBSERVED_TEXT_BYTES_MAX: usize = 4 << 10;

/// Names in one tally of errors or refusals: each is a time series to whoever collects the metrics.
pub const TALLY_NAMES_MAX: usize = 200;

/// Slow statements, and refusals, that are kept for operators to look at, for each database.
pub const RECENT_MAX: usize = 100;

/// Keys that are followed to find the most frequent ones.
pub const HOT_KEYS_MAX: usize = 128;

/// Bytes of one message of the console's clients: its commands are short.
pub const CONSOLE_FRAME_BYTES_MAX: usize = 64 << 10;

/// Prepared statements, and portals, of one client of the console.
pub const CONSOLE_STATEMENTS_MAX: usize = 1_000;

/// HTTP connections of operators at once: scrapers and a few browsers.
pub const HTTP_CONNECTIONS_MAX: usize = 64;

/// How long an HTTP client may take for the head of its next request; between requests it may rest as long.
pub const HTTP_HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// How often nodes are looked at: the resolution of `max_replica_lag`.
pub const NODE_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The least time between two looks, however often one is wanted: a hundred connections that break at once want one.
pub const NODE_LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How often those who wait for a primary have the nodes looked at.
pub const HOLD_RETRY: Duration = Duration::from_millis(100);

/// How long a read that only replicas may serve waits for one to have what its client wrote, before the primary serves
/// it; and how often it looks.
pub const CATCH_UP_WAIT_MAX: Duration = Duration::from_millis(20);
/// See [`CATCH_UP_WAIT_MAX`].
pub const CATCH_UP_LOOK: Duration = Duration::from_millis(2);

/// Over how long a node that was away is let back in, a tenth at a time.
pub const RETURN_WITHIN: Duration = Duration::from_secs(5);

/// Looks in a row that find nobody before a node counts as unfit: a replica isn't read then.
pub const NODE_LOOKS_MISSED_MAX: u32 = 3;

/// How often a statement that waits is planned anew, in a database whose tables change all the time.
pub const REPLANS_MAX: u32 = 8;

/// Bytes and messages of a request that are kept, to be run again if its server is lost.
pub const AGAIN_BYTES_MAX: usize = 64 << 10;
/// See [`AGAIN_BYTES_MAX`].
pub const AGAIN_MESSAGES_MAX: usize = 16;

/// How long one member of Patroni may take to answer, and how much it may say: a cluster of a hundred takes 20 KiB.
pub const PATRONI_TIMEOUT: Duration = Duration::from_secs(2);
/// See [`PATRONI_TIMEOUT`].
pub const PATRONI_ANSWER_BYTES_MAX: usize = 1 << 20;

/// What `shardway top` reads at once: a proxy with a hundred nodes and a thousand databases says less.
pub const TOP_ANSWER_BYTES_MAX: usize = 16 << 20;

/// Statements that may be configured to wait for a primary, for each shard.
pub const FAILOVER_QUEUE_MAX: usize = 100_000;

/// Databases of a server that are tried for a look, where one after the other lets nobody in.
pub const LOOK_DATABASES_MAX: usize = 3;

/// How long one look may take, a connect included.
pub const NODE_LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Positions of a primary's WAL that are remembered, one a look: a lag is measured to the second for an hour.
pub const WAL_SAMPLES_MAX: usize = 3_600;

/// Notices of a scatter's first shard that are remembered, so that the others don't repeat them.
pub const NOTICES_MAX: usize = 100;

/// Bytes of a prepared transaction's name: PostgreSQL refuses 200 (GIDSIZE, with its zero).
pub const GID_BYTES_MAX: usize = 200;

/// Bytes that a cluster's or a shard's name may take in it; longer ones are hashed.
pub const GID_NAME_BYTES_MAX: usize = 44;

const _: () = assert!("swy:".len() + 3 * (GID_NAME_BYTES_MAX + 1) + "01234567-4294967295:".len() + 32 < GID_BYTES_MAX);

/// How long a client whose COMMIT lost its answer waits for the anchor to say what became of it. Rows of
/// `shardway.txn` are kept for much longer.
pub const ANCHOR_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long a decided COMMIT waits for a participant that can't be reached; recovery goes on after that.
pub const SECOND_PHASE_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long records of two-phase transactions are kept at least: whoever may still ask for one has given up long
/// before. See [`ANCHOR_WAIT_MAX`].
pub const TXN_RETENTION: Duration = Duration::from_secs(300);

const _: () = assert!(ANCHOR_WAIT_MAX.as_secs() * 5 < TXN_RETENTION.as_secs());

/// How long a statement looks for snapshots of the shards that are of one moment: commits in two phases take
/// milliseconds, and a participant that is away keeps its part from being seen for longer than a client waits.
pub const CONSISTENT_WITHIN: Duration = Duration::from_secs(5);

/// How often old records are looked for; and how many of them at a time, so that no pass takes long.
pub const TXN_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// See [`TXN_SWEEP_INTERVAL`].
pub const TXN_SWEEP_ROWS_MAX: usize = 20_000;

/// A prepared transaction that is younger is most likely its proxy's business: a second phase takes
/// milliseconds.
pub const RECOVERY_AGE_MIN: Duration = Duration::from_millis(500);

/// For so long a transaction whose anchor still has its process at work is that proxy's business, however slowly its
/// shards answer. Recovery takes it over after that, which is safe at any time: the anchor then can't commit any more.
pub const ANCHOR_LIVES_MAX: Duration = Duration::from_secs(30);

/// How soon recovery looks again while something is in doubt.
pub const RECOVERY_RETRY: Duration = Duration::from_secs(1);

/// How long a statement of a transaction over several shards runs before it is looked whether it is in a deadlock:
/// servers look for those of their own after one second.
pub const DEADLOCK_WAIT: Duration = Duration::from_secs(2);

/// How often it is looked while such statements run.
pub const DEADLOCK_LOOK_EVERY: Duration = Duration::from_millis(500);

/// A cycle must still be there after this.
pub const DEADLOCK_REREAD_AFTER: Duration = Duration::from_millis(100);

/// How long statements of transactions over several shards may wait while no server can be asked for whom.
pub const DEADLOCK_BLIND_MAX: Duration = Duration::from_secs(10);

/// Bytes of a Query whose statements are run one by one, each where it stood in the text: the padding makes that
/// quadratic.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Between two attempts to reach a server that has to be asked, or to finish what another is busy with.
pub const TWO_PHASE_RETRY: Duration = Duration::from_millis(100);
/// Ids that are fetched in stock at most: with them a round trip to the home shard is spread over a thousand rows.
pub const ID_BLOCK_MAX: usize = 1_000;

/// How long ids that were fetched in stock are kept. After a `setval` through another proxy this one may serve older
/// values for so long; and what isn't used in that time is a gap in the ids.
pub const ID_BLOCK_KEPT: Duration = Duration::from_secs(1);

/// How soon ids have to be wanted again for the stock to grow: ten fetches a second are no burden.
pub const ID_BLOCK_BUSY: Duration = Duration::from_millis(100);

/// Ids of one statement: rows of a multi-row INSERT. Their values travel as parameters, of which there are 65,535.
pub const IDS_OF_STATEMENT_MAX: usize = 65_535;
/// Bytes of merged rows that are collected before they are sent on: as much as a read brings, so that there are
/// as few writes as reads.
pub const MERGE_FLUSH_BYTES: usize = 64 << 10;

/// Bytes of groups' parts that are held until the last shard has given its own: a million groups of a few columns.
/// PostgreSQL takes as much as a parameter.
pub const MERGE_PARTS_BYTES_MAX: usize = 128 << 20;

/// How often the first rows of several shards are looked at and locked before others are taken to be always faster.
pub const LOCK_TRIES_MAX: usize = 200;

/// Bytes of a table's rows that are carried to the shards of others: a million rows of two columns. Each shard takes them
/// as one message.
pub const CARRIED_BYTES_MAX: usize = 24 << 20;

/// Rows of such a table, so that a wrong estimate ends before much was read.
pub const CARRIED_ROWS_MAX: usize = 1_000_000;

/// Bytes of an answer that are held for a client that fetches it piece by piece, where no server can hold it.
pub const MERGE_KEPT_BYTES_MAX: usize = 128 << 20;

/// Rows of a COPY whose line numbers are remembered for each shard, for the errors of servers that are behind: what
/// is under way to one is a few MiB at most.
pub const COPY_LINES_REMEMBERED_MAX: usize = 1 << 19;

/// A file of statements that are to be planned: a day's log of a busy application fits, and it is held in memory.
pub const STATEMENTS_FILE_BYTES_MAX: u64 = 1 << 30;

/// How often clients are looked at that have limits of time: so much longer may a statement take.
pub const LIMITS_INTERVAL: Duration = Duration::from_millis(100);

/// How often workers are looked at that may be too few or too many: a worker that has too much to do has it for no
/// longer than a few of these.
pub const BALANCE_INTERVAL: Duration = Duration::from_millis(100);

/// The same while one worker has little to do: each look wakes a thread up, and what has slept beside a busy one takes
/// part of its work away.
pub const BALANCE_INTERVAL_MAX: Duration = Duration::from_millis(400);

/// Intervals in a row in which one worker less would have done before it is given up: moving clients to and fro costs
/// more than it saves.
pub const CALM_INTERVALS: u32 = 50;

/// Sessions that a worker serves between two waits, in hundredths, before it lets others go first: one alone is served at
/// every second one, and what a few are sent comes alone.
pub const COURTESY_SERVED_MIN_PERCENT: u32 = 75;

/// A worker that let others go first and had the CPU back so soon did it for nobody: a switch to another process and
/// back takes longer.
pub const COURTESY_BRIEF: Duration = Duration::from_micros(2);

/// Whoever keeps the CPU for so long has more to do than to answer one of our statements, and as many more of those as
/// there are connections don't take longer: the system lets a process that calculates have it for several milliseconds.
pub const COURTESY_LONG: Duration = Duration::from_millis(1);

/// After that, waits before which nobody is let go first: one in so many is that much longer.
pub const COURTESY_PAUSE_FIRST: u32 = 256;

/// The most of them, after several times in a row: nobody notices one in so many.
pub const COURTESY_PAUSE_MAX: u32 = 16 << 10;

/// After so many times in a row for nobody, as many are skipped each time.
pub const COURTESY_VAIN_MAX: u32 = 8;

/// How long it is waited for a client's first bytes before it is given to a worker without knowing if it wants TLS.
pub const FIRST_BYTES_WAIT_MAX: Duration = Duration::from_secs(1);

/// A statement that was cancelled for its time and still runs is cancelled again after this: the first request may have
/// found nothing to cancel.
pub const TIME_OUT_RETRY: Duration = Duration::from_secs(1);

/// Traced statements whose spans wait to be sent: with the collector away, what comes on top is dropped.
pub const TRACE_QUEUE_MAX: usize = 2_048;

/// Spans of one request to the collector.
pub const TRACE_BATCH_MAX: usize = 512;

/// How long spans are kept together before they are sent.
pub const TRACE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the queue of spans is looked at while a batch is gathered: waking somebody for each costs more than the rest of it.
pub const TRACE_LOOK: Duration = Duration::from_millis(100);

/// How long the collector may take.
pub const TRACE_SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the proxy, when it stops, waits for the last spans to be sent.
pub const TRACE_END_TIMEOUT: Duration = Duration::from_secs(2);

/// What the system tells a worker of at once.
pub const EVENTS_MAX: usize = 1_024;

/// How many tasks a worker polls before it looks at its sockets: none waits for long behind those that always have more.
pub const TASKS_IN_A_ROW_MAX: usize = 64;
