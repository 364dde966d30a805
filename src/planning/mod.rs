//! Statements become plans here. In: lexed text, the shard map and the catalog. Out: a [`Template`]
//! that is cached and shared, and for one call a [`Plan`], a value, or a [`Refusal`].
//!
//! Opens no socket and knows nothing of connections or transactions.

mod bind;
mod build;
pub mod cache;
pub mod called;
pub mod copy;
mod ddl;
pub mod declared;
mod definitions;
mod effects;
mod evaluate;
pub mod explain;
pub mod functions;
pub mod gather;
mod ids;
mod keys;
pub mod merge;
mod numbers;
pub mod plan;
mod process;
mod query;
mod record;
pub(crate) mod refusal;
mod resolve;
mod route;
mod scatter;
mod scene;
mod shaping;
mod sizes;
pub mod stages;
mod stamps;
mod tables;
pub mod template;
mod text;
pub mod transfer;
mod triggers;
mod typed;
mod views;
pub mod writes;

#[cfg(test)]
mod tests;

pub use cache::TemplateCache;
pub use evaluate::Claimed;
pub use ids::Filling;
pub use plan::{Absent, Access, CarryWay, Definition, Plan, Pull, Refusal, RowsByShard, Step, Way, Why};
pub use process::{ProcessCall, ProcessFunction, ProcessOf, process_call};
pub use record::{record_differences, record_of};
pub use route::show as show_key;
pub use scene::{Hint, Names, Scene};
pub use template::{Argument, Effects, ParameterValue, Parameters, SetConfig, StatementTemplate, Template};
pub use typed::oid;
