//! What can go wrong with one directory; each error names the path it is about.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path} gave no answer for {} s", waited.as_secs(), path = path.display())]
    NoAnswer { path: PathBuf, waited: Duration },
    #[error("{path} is not as it should be: {problem}", path = path.display())]
    Bad { path: PathBuf, problem: String },
    #[error("{path} changed while it was read", path = path.display())]
    Changed { path: PathBuf },
    #[error(transparent)]
    Cancelled(#[from] crate::progress::Cancelled),
}

impl VolumeError {
    /// The same error once more: one failed sync is the failure of every copy that it was for.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Io {
                action,
                path,
                source,
            } => Self::Io {
                action,
                path: path.clone(),
                source: source.raw_os_error().map_or_else(
                    || io::Error::new(source.kind(), source.to_string()),
                    io::Error::from_raw_os_error,
                ),
            },
            Self::NoAnswer { path, waited } => Self::NoAnswer {
                path: path.clone(),
                waited: *waited,
            },
            Self::Bad { path, problem } => Self::Bad {
                path: path.clone(),
                problem: problem.clone(),
            },
            Self::Changed { path } => Self::Changed { path: path.clone() },
            Self::Cancelled(cancelled) => Self::Cancelled(*cancelled),
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

/// Adds to an I/O error what was tried and on which path.
pub trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, VolumeError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, VolumeError> {
        self.map_err(|source| VolumeError::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        })
    }
}
