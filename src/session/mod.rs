//! One client from its start-up packet to its end. In: a socket. Out: replies as one PostgreSQL would
//! give them. `turn` is the whole pipeline of a request; the rooms below do the work.

mod again;
pub mod authentication;
pub mod batch;
pub mod block;
mod bound;
pub mod cancel;
pub mod commit;
pub mod copy;
pub mod database;
pub mod definition;
pub mod dispatch;
pub mod effects;
pub mod explain;
pub mod extended;
pub mod filling;
mod freshness;
pub mod gate;
pub mod gather;
pub mod ids;
pub mod inspect;
pub mod merged;
mod noting;
mod own;
mod parts;
pub mod planner;
pub mod prepared;
pub mod quick;
pub mod recent;
pub mod scratch;
pub mod segment;
pub mod sequences;
pub mod several;
pub mod simple;
pub mod startup;
pub mod state;
pub mod transfer;
pub mod turn;
pub mod two_phase;
mod undo;
pub mod user_pools;
pub mod waits;
pub mod welcome;
mod writes;
pub mod writing;

pub use turn::{Session, SessionEnd};
