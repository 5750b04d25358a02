//! What has to be copied, by several hands: small files many in one call, large ones one by one.
//!
//! A small file for which the first try is not the last (it changed, it is damaged on the volume
//! that was chosen) goes the way of the large ones, which tries again and elsewhere.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use super::{
    copy::{self, Refused, SMALL, Taken, Wanted},
    hand::Hand,
    manifest::Skipped,
    select::{Choice, Item, Partition},
};
use crate::{
    progress::Task,
    store::StoreError,
    volume::{Lane, Lock, LockMode, Volume},
};

/// Times that a file is read anew when it changed meanwhile; the last time under its lock.
const TRIES: u32 = 4;
/// Before a second look.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// Bytes after which what was written may be made durable.
const STRETCH: u64 = 256 << 20;
/// Small files that one call copies, and their bytes.
const BUNDLE: usize = 32;
const BUNDLED: u64 = 1 << 20;

/// What became of an item.
pub(super) enum Copied {
    Taken(Item, Taken),
    Skipped(Skipped),
    /// Gone since it was listed.
    Nothing,
}

/// Copies items of one partition.
#[derive(Clone, Copy)]
pub(super) struct Copying<'a> {
    pub partition: &'a Partition<'a>,
    pub task: &'a Task,
    pub timeout: Duration,
}

/// Items in stretches of so many bytes, so that no single sync takes for ever.
pub(super) fn stretches(items: Vec<Item>) -> Vec<Vec<Item>> {
    cut(items, |bytes, _, _| bytes < STRETCH)
}

/// Small items of one volume together, a large one by itself.
fn bundles(items: Vec<Item>) -> Vec<Vec<Item>> {
    cut(items, |bytes, bundle, item| {
        let volume = |item: &Item| item.volumes.first().map(Arc::as_ptr);
        bundle.len() < BUNDLE
            && bytes + item.fingerprint.size <= BUNDLED
            && bundle
                .iter()
                .chain([item])
                .all(|i| i.fingerprint.size <= SMALL)
            && bundle.first().map(volume) == Some(volume(item))
    })
}

const fn wanted(item: &Item) -> Wanted<'_> {
    Wanted {
        from: &item.source,
        to: &item.path,
        proven: item.proven,
    }
}

/// Cuts a list in order; `fits` is asked with the bytes and items that are together so far.
fn cut(items: Vec<Item>, fits: impl Fn(u64, &[Item], &Item) -> bool) -> Vec<Vec<Item>> {
    let mut parts: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let size = item.fingerprint.size;
        if let Some(part) = parts.last_mut().filter(|part| fits(bytes, part, &item)) {
            bytes += size;
            part.push(item);
        } else {
            bytes = size;
            parts.push(vec![item]);
        }
    }
    parts
}

impl Copying<'_> {
    /// Copies items, the hands side by side; what became of each, in the same order.
    pub fn all(self, items: Vec<Item>, hands: &[Hand]) -> Result<Vec<Copied>, StoreError> {
        let queue = Mutex::new(bundles(items).into_iter().enumerate());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (sender, receiver) = mpsc::channel();
        let mut done = thread::scope(|scope| {
            for hand in hands {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some((number, bundle)) = next() {
                        let copied = self.bundle(bundle, hand);
                        // Nobody listens any more after an error.
                        if sender.send(copied.map(|copied| (number, copied))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            receiver.into_iter().collect::<Result<Vec<_>, StoreError>>()
        })?;
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().flat_map(|(_, copied)| copied).collect())
    }

    fn bundle(self, items: Vec<Item>, hand: &Hand) -> Result<Vec<Copied>, StoreError> {
        self.task.checkpoint()?;
        let taken = match items.as_slice() {
            [first, ..] if first.fingerprint.size <= SMALL => self.small(&items, hand)?,
            _ => Vec::new(),
        };
        let mut taken = taken.into_iter();
        let mut copied = Vec::with_capacity(items.len());
        for item in items {
            copied.push(match taken.next().flatten() {
                Some(taken) if taken.fingerprint == item.fingerprint => Copied::Taken(item, taken),
                Some(_) => {
                    // Another commit came between the look and the copy.
                    hand.remove(&item.path)?;
                    self.one(item, hand)?
                }
                None => self.one(item, hand)?,
            });
        }
        Ok(copied)
    }

    fn small(self, items: &[Item], hand: &Hand) -> Result<Vec<Option<Taken>>, StoreError> {
        let Some(volume) = items.first().and_then(|item| item.volumes.first()) else {
            return Ok(Vec::new());
        };
        let files: Vec<_> = items.iter().map(wanted).collect();
        copy::copy_small(volume, &files, hand, self.task)
    }

    /// Copies an item by itself, from the first volume that gives it intact.
    fn one(&self, mut item: Item, hand: &Hand) -> Result<Copied, StoreError> {
        self.task.checkpoint()?;
        for attempt in 1..=TRIES {
            let locks = if attempt == TRIES {
                self.quiet(&item)
            } else {
                Vec::new()
            };
            let mut problem = None;
            let mut gone = true;
            for volume in &item.volumes {
                let copied = copy::copy(volume, wanted(&item), hand, self.task)?;
                gone &= matches!(copied, Err(Refused::Gone));
                match copied {
                    // Another commit came between the look and the copy.
                    Ok(taken) if taken.fingerprint != item.fingerprint => {
                        hand.remove(&item.path)?;
                    }
                    Ok(taken) => return Ok(Copied::Taken(item, taken)),
                    Err(Refused::Changed | Refused::Gone) => {}
                    Err(Refused::Damaged(reason)) => {
                        problem = Some(format!("damaged on {}: {reason}", volume.label()));
                    }
                    Err(Refused::Failed(error)) => problem = Some(error.to_string()),
                }
            }
            drop(locks);
            let (name, version) = &item.key;
            let version = version.map(|(id, _)| id);
            if let Some(reason) = problem {
                let skipped = self.partition.skipped(Some(name), version, reason);
                return Ok(Copied::Skipped(skipped));
            }
            if attempt == TRIES {
                let reason = if gone {
                    "it was moved or removed before it was read"
                } else {
                    "it changed each time it was read"
                };
                let skipped = self
                    .partition
                    .skipped(Some(name), version, reason.to_owned());
                return Ok(Copied::Skipped(skipped));
            }
            std::thread::sleep(PAUSE * attempt);
            if version.is_none() {
                match self.partition.choose_again(name) {
                    Choice::Take(again) => item = again,
                    Choice::Skip(skipped) => return Ok(Copied::Skipped(skipped)),
                    Choice::Nothing => return Ok(Copied::Nothing),
                }
            }
        }
        Ok(Copied::Nothing)
    }

    /// The artifact's shared locks, as far as its lock files exist: a reader creates none.
    fn quiet(&self, item: &Item) -> Vec<Lock> {
        let file = PathBuf::from(item.key.0.lock_file_name());
        let lock = |volume: &Arc<Volume>| {
            let path = file.clone();
            let exists = volume.run(Lane::Short, move |dir, _| {
                Ok(dir.path().join(path).exists())
            });
            if !exists.unwrap_or(false) {
                return None;
            }
            volume
                .lock(&file, LockMode::Shared, self.timeout)
                .ok()?
                .ok()
        };
        item.volumes.iter().filter_map(lock).collect()
    }
}
