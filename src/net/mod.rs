//! Sockets, TLS and framed I/O. In: addresses, node configurations, accepted sockets. Out: a
//! [`Stream`] with two buffers around it ([`Framed`]). Doesn't know what the bytes mean, except for
//! the one-byte answer to SSLRequest.

pub mod connect;
pub mod framed;
pub mod inbound;
pub mod reactor;
pub mod socket;
pub mod stream;
pub mod timer;
pub mod tls;
mod verify;

pub use connect::{NetError, connect_stream};
pub use framed::Framed;
pub use inbound::Inbound;
pub use socket::Socket;
pub use stream::{Handle, Stream};
pub use tls::{ServerTls, TlsError};
