//! Statements become plans here. In: lexed text, the shard map and the catalog. Out: a [`Template`]
//! that is cached and shared, and for one call a [`Plan`], a value, or a [`Refusal`].
//!
//! Opens no socket and knows nothing of connections or transactions.

pub mod cache;
pub mod explain;
pub mod functions;
pub mod plan;
pub mod scene;
pub mod template;

pub use plan::{Access, Plan, Refusal};
pub use scene::{Hint, Names, Scene};
pub use template::{Parameters, StatementTemplate, Template};
