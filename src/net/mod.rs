//! Sockets, TLS and framed I/O. In: addresses, node configurations, accepted sockets. Out: a
//! [`Stream`] with two buffers around it ([`Framed`]). Doesn't know what the bytes mean, except for
//! the one-byte answer to SSLRequest.

pub mod framed;
pub mod stream;

pub use framed::Framed;
pub use stream::Stream;
