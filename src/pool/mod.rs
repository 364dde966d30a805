//! (room under construction)

pub mod connect;
