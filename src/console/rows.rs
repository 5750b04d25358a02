//! Which artifacts a pane lists, in which order: an array of row numbers, made when survey, filter or
//! order change, so that drawing costs what the visible rows cost. The orders come sorted from the
//! [`Table`]; a filter asks on every processor, and one that only got longer asks only the rows that
//! fitted before.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{
    filter::{BEST, Filter, WORST},
    table::{REMOVED, Seen, Table, number},
};
use crate::{survey::ArtifactState, volume::ArtifactName};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Name,
    /// Worst first.
    State,
    /// Largest first.
    Size,
    /// Last changed first.
    Age,
}

impl Order {
    const ALL: [Self; 4] = [Self::Name, Self::State, Self::Size, Self::Age];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::State => "state",
            Self::Size => "size",
            Self::Age => "age",
        }
    }

    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL
            .iter()
            .position(|order| *order == self)
            .unwrap_or(0);
        let next = Self::ALL.get((at + 1) % Self::ALL.len());
        next.copied().unwrap_or(Self::Name)
    }
}

/// Rows that fitted, so that a longer filter need not ask the others again.
#[derive(Debug, Clone)]
struct Fitted {
    line: String,
    problems_only: bool,
    table: Arc<Table>,
    /// In the order of names, with their scores.
    rows: Vec<(u32, i32)>,
}

/// The rows of one pane.
#[allow(clippy::struct_excessive_bools)] // independent settings of a list
#[derive(Debug, Clone)]
pub struct Rows {
    pub order: Order,
    pub reversed: bool,
    /// The order of this pane unless the operator chose: only then the best fit comes first.
    usual: Order,
    /// Removed artifacts have a history, but no copies to compare.
    with_removed: bool,
    pub filter: String,
    /// What in the filter is not understood.
    pub problem: Option<String>,
    /// The filter waits for the agents to be read.
    pub needs_agents: bool,
    pub problems_only: bool,
    /// Rows of `Survey::artifacts`.
    pub index: Arc<Vec<u32>>,
    /// The selected artifact: the selection follows it.
    pub anchor: Option<ArtifactName>,
    fitted: Option<Fitted>,
}

impl Rows {
    /// For Replicas.
    pub fn problems_first() -> Self {
        Self::new(Order::State, false)
    }

    /// For Versions.
    pub fn by_name() -> Self {
        Self::new(Order::Name, true)
    }

    fn new(order: Order, with_removed: bool) -> Self {
        Self {
            order,
            reversed: false,
            usual: order,
            with_removed,
            filter: String::new(),
            problem: None,
            needs_agents: false,
            problems_only: false,
            index: Arc::default(),
            anchor: None,
            fitted: None,
        }
    }

    /// Whether the order is another than the pane's own.
    pub fn is_sorted(&self) -> bool {
        self.order != self.usual || self.reversed
    }

    /// Makes the index afresh and returns where the anchor is now, if it is still there.
    pub fn rebuild(&mut self, seen: &Seen, now: DateTime<Utc>) -> Option<usize> {
        let table = &seen.table;
        let filter = Filter::parse(&self.filter, &seen.survey, now);
        self.problem.clone_from(&filter.problem);
        self.needs_agents = filter.needs_agents() && table.agents.get().is_none();
        let in_order = match self.order {
            Order::Name => &table.by_name,
            Order::State => &table.by_state,
            Order::Size => &table.by_size,
            Order::Age => &table.by_age,
        };
        let all = !self.problems_only && (self.with_removed || table.removed == 0);
        self.index = if filter.is_empty() {
            self.fitted = None;
            if all && !self.reversed {
                Arc::clone(in_order)
            } else {
                let listed = in_order
                    .iter()
                    .copied()
                    .filter(|row| self.lists(table, *row));
                Arc::new(turned(listed.collect(), self.reversed))
            }
        } else {
            let rows = self.fitting(table, &filter);
            let index = if filter.ranks() && !self.is_sorted() {
                ranked(&rows)
            } else if self.order == Order::Name {
                rows.iter().map(|(row, _)| *row).collect()
            } else {
                picked(&rows, in_order)
            };
            self.fitted = Some(Fitted {
                line: self.filter.clone(),
                problems_only: self.problems_only,
                table: Arc::clone(table),
                rows,
            });
            Arc::new(turned(index, self.reversed))
        };
        let anchor = number(seen.survey.find(self.anchor.as_ref()?)?);
        self.index.iter().position(|row| *row == anchor)
    }

    /// Whether a row is listed at all, whatever the filter says.
    fn lists(&self, table: &Table, row: u32) -> bool {
        let at = row as usize;
        let removed = table
            .flags
            .get(at)
            .is_some_and(|flags| flags & REMOVED != 0);
        let ok = table.states.get(at) == Some(&ArtifactState::Ok);
        (self.with_removed || !removed) && !(self.problems_only && (ok || removed))
    }

    /// The rows that fit, in the order of names.
    fn fitting(&mut self, table: &Arc<Table>, filter: &Filter) -> Vec<(u32, i32)> {
        let before = self.fitted.take().filter(|before| {
            Arc::ptr_eq(&before.table, table)
                && before.problems_only == self.problems_only
                && Filter::narrows(&before.line, &self.filter)
        });
        let ask = |row| Some((row, filter.score(table, row)?));
        match before {
            Some(before) => {
                let rows = before.rows.into_par_iter();
                rows.filter_map(|(row, _)| ask(row)).collect()
            }
            None => (0..number(table.len()))
                .into_par_iter()
                .filter(|row| self.lists(table, *row))
                .filter_map(ask)
                .collect(),
        }
    }
}

fn turned(mut rows: Vec<u32>, reversed: bool) -> Vec<u32> {
    if reversed {
        rows.reverse();
    }
    rows
}

/// Best fit first, equal ones by name. Scores are few, so they are counted instead of compared.
fn ranked(rows: &[(u32, i32)]) -> Vec<u32> {
    let place = |score: i32| usize::try_from(BEST - score.clamp(WORST, BEST)).unwrap_or(0);
    let mut starts = vec![0_usize; place(WORST) + 2];
    for (_, score) in rows {
        if let Some(count) = starts.get_mut(place(*score) + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut index = vec![0; rows.len()];
    for (row, score) in rows {
        if let Some(start) = starts.get_mut(place(*score)) {
            if let Some(slot) = index.get_mut(*start) {
                *slot = *row;
            }
            *start += 1;
        }
    }
    index
}

/// The rows that fit in another order: few are looked up, many are ticked off.
fn picked(rows: &[(u32, i32)], in_order: &[u32]) -> Vec<u32> {
    let mut fits = vec![false; in_order.len()];
    for (row, _) in rows {
        if let Some(fit) = fits.get_mut(*row as usize) {
            *fit = true;
        }
    }
    let fits = |row: &u32| fits.get(*row as usize).copied().unwrap_or(false);
    in_order.iter().copied().filter(fits).collect()
}
