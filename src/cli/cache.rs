//! `cache`: the copies that this host keeps, and `get` through them.

use serde_json::json;

use super::{Context, Exit, args::CacheCommand, artifacts, shown};
use crate::{
    report,
    store::{Store, StoreError, cache::Cache, config::StaleCache},
};

/// `cache get|refresh|invalidate|status|clear`
pub fn cache(context: &Context<'_>, command: &CacheCommand) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let cache = Cache::of(store.config()).ok_or_else(|| {
        StoreError::Usage("no [cache] is configured on this host; give it a directory".to_owned())
    })?;
    match command {
        CacheCommand::Get { name, output } => {
            artifacts::deliver_current(context, &store, &context.name(name)?, output.as_deref())
        }
        CacheCommand::Refresh { name } => {
            let name = context.name(name)?;
            let fetched = store.refresh(&cache, &name)?;
            if context.output.is_json() {
                context.output.json(json!({
                    "name": name.json(),
                    "size": fetched.verification.size,
                    "from": fetched.volume,
                }));
            } else {
                context.output.line(&format!(
                    "{name}: {} fetched from {}",
                    report::size(fetched.verification.size),
                    fetched.volume
                ));
            }
            Ok(Exit::DONE)
        }
        CacheCommand::Invalidate { name } => {
            let name = context.name(name)?;
            let gone = cache.invalidate(&name)?;
            if context.output.is_json() {
                let document = json!({ "name": name.json(), "invalidated": gone });
                context.output.json(document);
            } else if gone {
                context.output.line(&format!("{name} is no longer cached"));
            } else {
                context.output.line(&format!("{name} was not cached"));
            }
            Ok(Exit::DONE)
        }
        CacheCommand::Status => status(context, &store, &cache),
        CacheCommand::Clear { .. } => {
            let gone = cache.clear()?;
            if context.output.is_json() {
                let document = json!({ "entries": gone.entries, "bytes": gone.bytes });
                context.output.json(document);
            } else {
                context.output.line(&format!(
                    "{} removed, {}",
                    report::plural(gone.entries, "entry", "entries"),
                    report::size(gone.bytes)
                ));
            }
            Ok(Exit::DONE)
        }
    }
}

fn status(context: &Context<'_>, store: &Store, cache: &Cache) -> Result<u8, StoreError> {
    let usage = cache.usage()?;
    let stale = match cache.stale() {
        StaleCache::Serve => "serve",
        StaleCache::Refuse => "refuse",
    };
    if context.output.is_json() {
        context.output.json(json!({
            "store": store.config().store.name,
            "directory": cache.directory().to_string_lossy(),
            "entries": usage.entries,
            "bytes": usage.bytes,
            "max_size": cache.max_size(),
            "stale": stale,
        }));
    } else {
        context.output.line(&format!(
            "{}: {}, {} of {}; when the store cannot be reached: {stale}",
            shown(cache.directory()),
            report::plural(usage.entries, "entry", "entries"),
            report::size(usage.bytes),
            report::size(cache.max_size()),
        ));
    }
    Ok(Exit::DONE)
}
