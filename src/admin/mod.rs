//! What operators see and do: the console, spoken to with psql, and HTTP pages. In: a client that may use them, and
//! the [`House`] it asks. Out: tables, metrics, or commands carried out.
//!
//! Knows nothing of sessions and pools: what there is of them it is told by the house, in plain values.

pub mod console;
pub mod house;
pub mod http;
mod process;

pub use console::{Guest, serve};
pub use house::House;
