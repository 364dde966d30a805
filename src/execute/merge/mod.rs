//! Rows of several backends merged as they come. In: backends that run the same statement, each giving its rows
//! in order. Out: the rows in the order of all, without the columns they were merged by. What decides
//! ([`compare`], [`rows`]) knows no socket.
//!
//! A row is looked at where it was received, and only when it is the next of its backend: a backend whose rows
//! aren't due is slowed down by its own socket, and all of them by a client that doesn't read.

pub mod arrays;
pub mod compare;
pub mod rows;
mod sorted;
mod source;
mod stream;

pub use arrays::Arrays;
pub use sorted::{first_of, same_keys, visible_part};
pub use source::Feed;
pub use stream::{Ask, Merged, Progress, Renumber, Sink, drain, merge};
