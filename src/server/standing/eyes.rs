//! One connection to look at a server, for all databases that have nodes on it. In: nodes, and as whom they are looked at.
//! Out: the eye that looks at each; it ends with the last who listens, so a reload goes on with the same.

use std::sync::{Arc, Mutex, PoisonError};

use super::eye::{Eye, Watched};
use crate::config::NodeTls;
use crate::pool::connect::Login;

#[derive(Default)]
pub(super) struct Eyes(Mutex<Vec<(Place, Arc<Eye>)>>);

/// What one connection can look at.
#[derive(Clone, PartialEq)]
struct Place {
    host: String,
    port: u16,
    tls: NodeTls,
    login: Login,
}

impl Eyes {
    pub(super) fn watch(self: &Arc<Self>, watched: Watched, login: Login) -> Arc<Eye> {
        let config = &watched.node.config;
        let place = Place { host: config.host.clone(), port: config.port, tls: config.tls.clone(), login };
        let mut eyes = self.lock();
        if let Some((_, eye)) = eyes.iter().find(|(known, _)| *known == place) {
            eye.add(watched);
            return Arc::clone(eye);
        }
        let eye = Arc::new(Eye::new(place.login.clone()));
        eye.add(watched);
        eyes.push((place, Arc::clone(&eye)));
        let (all, looks) = (Arc::clone(self), Arc::clone(&eye));
        tokio::spawn(async move { looks.watch(|| all.keeps(&looks)).await });
        eye
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Place, Arc<Eye>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Under the lock that [`Self::watch`] takes: nobody joins one that ends.
    fn keeps(&self, eye: &Arc<Eye>) -> bool {
        let mut eyes = self.lock();
        let is_watched = eye.is_watched();
        if !is_watched {
            eyes.retain(|(_, other)| !Arc::ptr_eq(other, eye));
        }
        is_watched
    }
}
