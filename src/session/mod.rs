//! (room under construction)

pub mod authentication;
pub mod startup;
