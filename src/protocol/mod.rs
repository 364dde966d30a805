//! The wire protocol, version 3 (PostgreSQL documentation, chapter 55), without any I/O.
//! In: bytes. Out: frame boundaries, borrowed views of the few messages that need a meaning, and
//! encoded messages. Doesn't know of sockets, sessions or SQL.

pub mod backend;
pub mod description;
pub mod frame;
pub mod frontend;
pub mod moved;
pub mod numbering;
pub mod startup;

pub use frame::{FrameError, Header};
