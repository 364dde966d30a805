//! SET in the console: settings that change without a reload, until the next one.

use std::sync::Arc;
use std::time::Duration;

use super::{Current, Shared};
use crate::admin::console::CHANGEABLE;
use crate::config::{Config, parse_duration};
use crate::session::startup::AdmissionContext;
use crate::types::limits::{CLIENTS_MAX, POOL_SIZE_MAX, TIMEOUT_MAX};

pub(super) fn set(shared: &Shared, name: &str, value: &str) -> Result<(), String> {
    match name {
        "slow_statement" => {
            let limit = if value == "off" { None } else { Some(duration(name, value)?) };
            shared.observed.set_slow(limit);
        }
        "max_clients" => {
            let clients = number(name, value, CLIENTS_MAX)?;
            change(shared, |config| config.server.clients_max = clients)?;
        }
        "drain_timeout" => {
            let timeout = duration(name, value)?;
            change(shared, |config| config.server.drain_timeout = timeout)?;
        }
        "startup_timeout" => {
            let timeout = duration(name, value)?;
            change(shared, |config| config.server.startup_timeout = timeout)?;
        }
        "pool_size" => {
            let size = number(name, value, POOL_SIZE_MAX)?;
            shared.current.load().databases.all().for_each(|database| database.resize(size));
            change(shared, |config| config.pool.size = size)?;
        }
        other => return Err(format!("{other} can't be set here, only {}", CHANGEABLE.join(", "))),
    }
    tracing::info!(name, value, "setting changed in the console");
    Ok(())
}

/// The same databases under a configuration that differs in what concerns none of them.
fn change(shared: &Shared, change: impl Fn(&mut Config)) -> Result<(), String> {
    let before = shared.current.load_full();
    let mut config = Config::clone(before.admission.config());
    change(&mut config);
    let databases = Arc::clone(&before.databases);
    let admission = AdmissionContext::new(Arc::new(config), Arc::clone(&shared.secrets), Arc::clone(&databases));
    let admission = admission.map_err(|error| error.to_string())?;
    shared.current.store(Arc::new(Current { admission, databases }));
    Ok(())
}

fn number(name: &str, value: &str, max: usize) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| format!("{name} must be a whole number from 1 to {max}"))
}

fn duration(name: &str, value: &str) -> Result<Duration, String> {
    let duration = parse_duration(value).filter(|duration| !duration.is_zero() && *duration <= TIMEOUT_MAX);
    duration.ok_or_else(|| format!("{name} must be a whole number and a unit, as in 250ms, 5s or 1m"))
}
