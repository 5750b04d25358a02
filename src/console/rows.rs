//! Which artifacts a pane lists, in which order: an array of row numbers, made when survey or
//! filter change, so that drawing costs what the visible rows cost.

use super::text::fuzzy;
use crate::{
    survey::{ArtifactState, Survey},
    volume::ArtifactName,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    ProblemsFirst,
    Name,
}

/// The rows of one pane.
#[derive(Debug, Clone)]
pub struct Rows {
    order: Order,
    pub filter: String,
    pub problems_only: bool,
    /// Rows of `Survey::artifacts`.
    pub index: Vec<u32>,
    /// The selected artifact: the selection follows it.
    pub anchor: Option<ArtifactName>,
}

impl Rows {
    pub const fn problems_first() -> Self {
        Self::new(Order::ProblemsFirst)
    }

    pub const fn by_name() -> Self {
        Self::new(Order::Name)
    }

    const fn new(order: Order) -> Self {
        Self {
            order,
            filter: String::new(),
            problems_only: false,
            index: Vec::new(),
            anchor: None,
        }
    }

    /// Makes the index afresh and returns where the anchor is now, if it is still there.
    pub fn rebuild(&mut self, survey: &Survey) -> Option<usize> {
        let needle = self.filter.to_lowercase();
        let wanted = survey.artifacts.iter().enumerate().filter(|(_, artifact)| {
            // A removed artifact has a history, but no copies to compare.
            let listed = self.order == Order::Name || !artifact.removed;
            let problem = artifact.state != ArtifactState::Ok && !artifact.removed;
            listed && (problem || !self.problems_only)
        });
        let number = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
        self.index = if needle.is_empty() {
            let mut rows: Vec<_> = wanted.map(|(row, a)| (a.state, number(row))).collect();
            if self.order == Order::ProblemsFirst {
                rows.sort_by_key(|(state, _)| *state);
            }
            rows.into_iter().map(|(_, row)| row).collect()
        } else {
            let mut rows: Vec<_> = wanted
                .filter_map(|(row, artifact)| {
                    let hay = artifact.name.to_string().to_lowercase();
                    fuzzy(&hay, &needle).map(|score| (-score, number(row)))
                })
                .collect();
            rows.sort_unstable();
            rows.into_iter().map(|(_, row)| row).collect()
        };
        let anchor = number(survey.find(self.anchor.as_ref()?)?);
        self.index.iter().position(|row| *row == anchor)
    }
}
