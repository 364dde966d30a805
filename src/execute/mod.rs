//! Runs what was planned, on connections that were leased. In: messages queued on backends and the
//! replies that are expected. Out: frames to the client and an [`Outcome`]. Doesn't choose shards and
//! doesn't know the client's session beyond its stream.

pub mod brief;
pub mod collect;
pub mod copy;
pub mod copy_in;
mod copy_out;
pub mod divide;
pub mod gather;
pub mod merge;
pub mod own;
pub mod relay;
pub mod replies;
pub mod scatter;

pub use relay::relay;
pub use replies::{Expect, Outcome, RelayError};
