//! The SQLSTATEs that Shardway itself raises (PostgreSQL, appendix A).

use std::fmt;

/// Five characters of class and condition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SqlState(&'static str);

impl SqlState {
    pub const WARNING: Self = Self("01000");
    pub const CONNECTION_FAILURE: Self = Self("08006");
    pub const CANNOT_CONNECT: Self = Self("08001");
    pub const CONNECTION_REJECTED: Self = Self("08004");
    pub const TRANSACTION_RESOLUTION_UNKNOWN: Self = Self("08007");
    pub const PROTOCOL_VIOLATION: Self = Self("08P01");
    pub const FEATURE_NOT_SUPPORTED: Self = Self("0A000");
    pub const NOT_NULL_VIOLATION: Self = Self("23502");
    pub const INVALID_PARAMETER_VALUE: Self = Self("22023");
    pub const CHECK_VIOLATION: Self = Self("23514");
    pub const ACTIVE_SQL_TRANSACTION: Self = Self("25001");
    pub const NO_ACTIVE_SQL_TRANSACTION: Self = Self("25P01");
    pub const IDLE_IN_TRANSACTION_SESSION_TIMEOUT: Self = Self("25P03");
    pub const IN_FAILED_SQL_TRANSACTION: Self = Self("25P02");
    pub const INVALID_SQL_STATEMENT_NAME: Self = Self("26000");
    pub const INVALID_AUTHORIZATION: Self = Self("28000");
    pub const INVALID_PASSWORD: Self = Self("28P01");
    pub const INVALID_CURSOR_NAME: Self = Self("34000");
    pub const INVALID_SAVEPOINT: Self = Self("3B001");
    pub const INVALID_CATALOG_NAME: Self = Self("3D000");
    pub const SERIALIZATION_FAILURE: Self = Self("40001");
    pub const DEADLOCK_DETECTED: Self = Self("40P01");
    pub const INSUFFICIENT_PRIVILEGE: Self = Self("42501");
    pub const UNDEFINED_OBJECT: Self = Self("42704");
    pub const SYNTAX_ERROR: Self = Self("42601");
    pub const DUPLICATE_CURSOR: Self = Self("42P03");
    pub const DUPLICATE_PREPARED_STATEMENT: Self = Self("42P05");
    pub const TOO_MANY_CONNECTIONS: Self = Self("53300");
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self("54000");
    pub const STATEMENT_TOO_COMPLEX: Self = Self("54001");
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: Self = Self("55000");
    pub const QUERY_CANCELED: Self = Self("57014");
    pub const ADMIN_SHUTDOWN: Self = Self("57P01");
    pub const CANNOT_CONNECT_NOW: Self = Self("57P03");
    pub const IDLE_SESSION_TIMEOUT: Self = Self("57P05");
    pub const CONFIGURATION_ERROR: Self = Self("F0000");
    pub const INTERNAL_ERROR: Self = Self("XX000");

    /// What a server said, for an error that is told anew: one of those that statements of the proxy's own can meet.
    pub fn of_server(code: &str) -> Self {
        const KNOWN: &[&str] = &[
            "2200H", "25006", "25P02", "40001", "40P01", "42501", "42P01", "42809", "53100", "53200", "53300", "55000",
            "55P03", "57014", "57P01", "57P02", "57P03",
        ];
        KNOWN.iter().find(|known| **known == code).map_or(Self::INTERNAL_ERROR, |known| Self(known))
    }

    pub const fn code(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
