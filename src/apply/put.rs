//! New current copies from a backup, a version or a chosen copy: many at a time, each as a commit
//! of its own on a quorum.

use std::{cell::Cell, path::PathBuf};

use super::steps::{Context, holds};
use crate::{
    journal::model::Outcome,
    maif::Digest,
    plan::{Expectations, Source},
    store::{
        Slot, StoreError,
        commit::{Condition, PutRequest},
        peek::Peek,
        state::ArtifactState,
        transfer::read_back,
    },
    volume::{ArtifactName, Fingerprint},
};

/// One step's share.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub number: usize,
    pub name: &'a ArtifactName,
    pub source: &'a Source,
    pub fingerprint: Fingerprint,
    pub expect: &'a Expectations,
}

/// What a wanted copy is made of.
struct Ready<'a> {
    wanted: Wanted<'a>,
    path: PathBuf,
    sha256: Digest,
    /// Every replica held it already, under its lock.
    already: Cell<bool>,
}

impl Context<'_> {
    /// Makes the copies; an answer each, in the same order.
    pub fn put_all(&self, wanted: &[Wanted<'_>]) -> Vec<Result<Outcome, StoreError>> {
        let ready: Vec<Result<Ready<'_>, StoreError>> = wanted
            .iter()
            .map(|wanted| {
                // A source on a volume that this very step replaces is read before that.
                let path = self.source(wanted.name, wanted.source)?;
                Ok(Ready {
                    sha256: self.verified_once(
                        wanted.number,
                        &path,
                        wanted.fingerprint,
                        wanted.source,
                    )?,
                    wanted: *wanted,
                    path,
                    already: Cell::new(false),
                })
            })
            .collect();
        let guards: Vec<_> = ready
            .iter()
            .flatten()
            .map(|ready| move |peeks: &[(&str, &Peek)]| self.guard(ready, peeks))
            .collect();
        let requests = ready
            .iter()
            .flatten()
            .zip(&guards)
            .map(|(ready, guard)| PutRequest {
                name: ready.wanted.name,
                source: &ready.path,
                sha256: ready.sha256,
                condition: Condition::Always,
                guard,
            })
            .collect();
        let mut committed = self.store.put_all(requests).into_iter();
        ready
            .iter()
            .map(|ready| match ready {
                Err(error) => Err(StoreError::Failed(error.to_string())),
                Ok(ready) => match committed.next() {
                    _ if ready.already.get() => Ok(Outcome::Already),
                    None => Err(StoreError::Failed("it was not written".to_owned())),
                    Some(Err(error)) => Err(error),
                    Some(Ok(committed)) => {
                        let written = committed.copies.iter().filter(|c| c.result.is_ok());
                        let count = written.clone().count() as u64;
                        self.task.add_bytes(ready.wanted.fingerprint.size * count);
                        for copy in written {
                            let slot = self.slot(&copy.volume)?;
                            read_back(slot, ready.wanted.name, ready.sha256)?;
                            self.task.add_verified(1);
                        }
                        Ok(Outcome::Done)
                    }
                },
            })
            .collect()
    }

    /// Under the locks: what is there is what was planned with, or the result already.
    fn guard(&self, ready: &Ready<'_>, peeks: &[(&str, &Peek)]) -> Result<(), StoreError> {
        let wanted = &ready.wanted;
        let home = self.store.home(wanted.name);
        let writable: Vec<&Slot> = self
            .store
            .replicas(home)
            .filter(|slot| slot.is_writable())
            .collect();
        let result = Some(wanted.fingerprint);
        let everywhere = peeks.len() == writable.len()
            && peeks
                .iter()
                .all(|(_, peek)| peek.found.as_ref().map(|f| f.fingerprint) == result);
        if everywhere && self.store.judge(wanted.name).1.state == ArtifactState::Ok {
            ready.already.set(true);
            return Err(StoreError::Changed("it is as planned already".to_owned()));
        }
        holds(wanted.expect, result, peeks)
    }
}
