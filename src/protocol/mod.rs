//! (room under construction)

pub mod startup;
