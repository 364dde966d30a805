//! What operators see and do: the console, spoken to with psql. In: a client that may use it, and the [`House`] it
//! asks. Out: tables, or commands carried out.
//!
//! Knows nothing of sessions and pools: what there is of them it is told by the house, in plain values.

pub mod console;
pub mod house;

pub use console::{Guest, serve};
pub use house::House;
