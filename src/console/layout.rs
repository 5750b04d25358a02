//! Where things are. Both `update` (for pages and scrolling) and `view` ask here, so they agree.

use ratatui::layout::Rect;

use super::keymap::Pane;

/// The horizontal parts of the screen; those that do not fit are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    pub header: Rect,
    pub tabs: Rect,
    pub top_rule: Rect,
    pub body: Rect,
    pub bottom_rule: Rect,
    pub job: Rect,
    pub footer: Rect,
}

/// Splits the screen. Short screens give up rules, then the job line, then header and tabs.
pub fn areas(screen: Rect) -> Areas {
    let height = screen.height;
    let take = |wanted: bool| u16::from(wanted);
    let header = take(height >= 4);
    let tabs = take(height >= 6);
    let top_rule = take(height >= 12);
    let bottom_rule = take(height >= 14);
    let job = take(height >= 10);
    let footer = take(height >= 3);
    let mut y = screen.y;
    let mut line = |rows: u16| {
        let area = Rect::new(screen.x, y, screen.width, rows);
        y += rows;
        area
    };
    Areas {
        header: line(header),
        tabs: line(tabs),
        top_rule: line(top_rule),
        body: line(height - header - tabs - top_rule - bottom_rule - job - footer),
        bottom_rule: line(bottom_rule),
        job: line(job),
        footer: line(footer),
    }
}

/// The parts of a pane. `list` and `detail` include their heading line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub list: Rect,
    pub detail: Rect,
    /// Overview's tiles, the strip of days in Backups, the lease above the volumes in Cluster.
    pub tiles: Rect,
    /// Whether the detail is beside the list and not below it.
    pub beside: bool,
}

pub fn parts(pane: Pane, body: Rect) -> Parts {
    let none = Rect::new(body.x, body.bottom(), body.width, 0);
    let beside = |list_width: u16| {
        let list = Rect {
            width: list_width,
            ..body
        };
        // One column of rule and one of air on each side of it.
        let x = body.x + list_width + 3;
        Parts {
            list,
            detail: Rect::new(x, body.y, body.right().saturating_sub(x), body.height),
            tiles: none,
            beside: true,
        }
    };
    let below = |detail_height: u16| {
        let detail_height = if body.height >= detail_height + 5 {
            detail_height
        } else {
            0
        };
        Parts {
            list: Rect {
                height: body.height - detail_height,
                ..body
            },
            detail: Rect {
                y: body.bottom() - detail_height,
                height: detail_height,
                ..body
            },
            tiles: none,
            beside: false,
        }
    };
    match pane {
        Pane::Overview => {
            let across = body.width >= 120;
            let tiles = match body.height {
                0..13 => 0,
                13..28 if across => 7,
                _ if across => 9,
                13..20 => 6,
                _ => 8,
            };
            let detail = match body.height {
                0..11 => 0,
                11..24 => 4,
                _ => 5,
            };
            let list = body.height - tiles - detail;
            Parts {
                list: Rect {
                    height: list,
                    ..body
                },
                detail: Rect {
                    y: body.y + list,
                    height: detail,
                    ..body
                },
                tiles: Rect {
                    y: body.y + list + detail,
                    height: tiles,
                    ..body
                },
                beside: false,
            }
        }
        Pane::Versions if body.width >= 72 => {
            let width = match body.width {
                0..100 => 26,
                100..140 => 36,
                _ => 48,
            };
            beside(width)
        }
        // What the list cannot use, the detail has.
        Pane::Replicas if body.width >= 120 => {
            beside(body.width - body.width.saturating_sub(110).clamp(54, 84))
        }
        Pane::Backups => with_strip(if body.width >= 140 {
            beside(body.width - body.width.saturating_sub(112).clamp(58, 84))
        } else {
            below(if body.height >= 26 { 10 } else { 7 })
        }),
        Pane::Jobs if body.width >= 140 => beside(body.width - 58),
        Pane::Cluster => cluster(body, below),
        Pane::Replicas | Pane::Versions => below(if body.height >= 26 { 10 } else { 7 }),
        Pane::Jobs | Pane::Partitions => below(if body.height >= 26 { 12 } else { 8 }),
    }
}

/// The lease above the volumes, the selected one below them.
fn cluster(body: Rect, below: impl Fn(u16) -> Parts) -> Parts {
    let (top, detail) = match body.height {
        0..13 => (0, 0),
        13..18 => (6, 0),
        18..26 => (7, 3),
        _ => (11, 4),
    };
    let mut parts = below(detail);
    parts.list.y += top;
    parts.list.height -= top;
    parts.tiles = Rect {
        height: top,
        ..body
    };
    parts
}

/// Takes two lines from the end of the list, where it has them to give.
const fn with_strip(mut parts: Parts) -> Parts {
    if parts.list.height >= 9 {
        parts.list.height -= 2;
        parts.tiles = Rect {
            y: parts.list.y + parts.list.height,
            height: 2,
            ..parts.list
        };
    }
    parts
}

/// Rows that the list has for its items, without heading and filter line.
pub const fn list_height(parts: &Parts) -> u16 {
    parts.list.height.saturating_sub(1)
}

/// Rows that the history has for its entries: the rest of the detail shows the selected one.
pub const fn history_height(parts: &Parts) -> u16 {
    let inner = parts.detail.height.saturating_sub(1);
    inner.saturating_sub(entry_height(parts))
}

/// Rows for the selected entry under the history.
pub const fn entry_height(parts: &Parts) -> u16 {
    match parts.detail.height {
        0..12 => 0,
        12..22 => 9,
        22..30 => 10,
        _ => 12,
    }
}
