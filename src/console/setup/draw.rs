//! What the first run looks like: one question at a time, with what the answers so far lead to.

use ratatui::layout::Rect;

use super::state::{Setup, Step};
use crate::{
    console::{
        canvas::{Canvas, centred},
        text,
        theme::Role,
        widgets::prompt::draw_line,
    },
    report::size,
    store::setup::Place,
};

/// Draws everything into the screen's canvas.
pub fn draw(setup: &Setup, canvas: &mut Canvas<'_>, screen: Rect) {
    let area = centred(screen, 96, 30);
    let inner = canvas.frame(area, "maifdeck, first run", Role::Title);
    if inner.height < 3 || inner.width < 8 {
        return;
    }
    trail(setup, canvas, Rect { height: 1, ..inner });
    let body = Rect {
        y: inner.y + 2,
        height: inner.height.saturating_sub(5),
        ..inner
    };
    let hint = match setup.step {
        Step::Welcome => welcome(setup, canvas, body),
        Step::Directories => directories(setup, canvas, body),
        Step::Grid => grid(setup, canvas, body),
        Step::Backups => backups(setup, canvas, body),
        Step::Preview => preview(setup, canvas, body),
        Step::Working(what) => {
            let words = format!("{what} {}", canvas.theme.glyphs.ellipsis);
            canvas.put(body.x, body.y, body.width, &words, Role::Info);
            "C-c leaves"
        }
    };
    let last = inner.bottom() - 1;
    if let Some(error) = &setup.error {
        let lines = text::wrap(&text::clean(error), usize::from(inner.width));
        for (y, line) in (last.saturating_sub(2)..last).zip(lines) {
            canvas.put(inner.x, y, inner.width, &line, Role::Critical);
        }
    } else if setup.looking {
        canvas.put(inner.x, last - 1, inner.width, "looking at it", Role::Dim);
    }
    canvas.put(inner.x, last, inner.width, hint, Role::Dim);
}

/// Where in the questions this is.
fn trail(setup: &Setup, canvas: &mut Canvas<'_>, area: Rect) {
    let now = match setup.step {
        Step::Welcome => return,
        Step::Directories => 0,
        Step::Grid => 1,
        Step::Backups => 2,
        Step::Preview | Step::Working(_) => 3,
    };
    let mut x = area.x;
    for (at, name) in ["directories", "grid", "backups", "write"]
        .iter()
        .enumerate()
    {
        let role = if at == now { Role::Title } else { Role::Dim };
        let words = format!("{} {name}   ", at + 1);
        x += canvas.put(x, area.y, area.right().saturating_sub(x), &words, role);
    }
}

/// Lines one below the other, wrapped; returns the next free one.
fn say(canvas: &mut Canvas<'_>, area: Rect, y: u16, words: &str, role: Role) -> u16 {
    let mut y = y;
    for line in text::wrap(words, usize::from(area.width)) {
        if y >= area.bottom() {
            break;
        }
        canvas.put(area.x, y, area.width, &line, role);
        y += 1;
    }
    y
}

fn welcome(setup: &Setup, canvas: &mut Canvas<'_>, area: Rect) -> &'static str {
    let mut y = say(
        canvas,
        area,
        area.y,
        "No configuration was found. Nothing is written before you confirm it.",
        Role::Text,
    );
    let searched = format!("looked for {}", setup.known.searched.join(", "));
    y = say(canvas, area, y, &text::clean(&searched), Role::Dim) + 1;
    let embedded = setup.known.embedded.as_ref().map_or_else(
        || "no home directory is known for it".to_owned(),
        |path| format!("below {}; no configuration is needed", path.display()),
    );
    let options = [
        (
            "A store on my directories",
            "partitions, replicas and backups; shows maifdeck.toml before it is written".to_owned(),
        ),
        (
            "A playground",
            "a store with histories, backups and planted faults, in a temporary directory"
                .to_owned(),
        ),
        ("A store of one directory", text::clean(&embedded)),
    ];
    for (at, (name, meaning)) in options.iter().enumerate() {
        if y + 1 >= area.bottom() {
            break;
        }
        let line = Rect::new(area.x + 1, y, area.width - 1, 1);
        canvas.put(
            area.x + 2,
            y,
            area.width.saturating_sub(2),
            name,
            Role::Title,
        );
        if at == setup.chosen {
            canvas.put(area.x, y, 1, canvas.theme.glyphs.marker, Role::Key);
            canvas.highlight(line, Role::Selected);
        }
        let below = Rect {
            x: area.x + 4,
            width: area.width.saturating_sub(4),
            ..area
        };
        y = say(canvas, below, y + 1, meaning, Role::Dim) + 1;
    }
    "up/down choose   enter take   q leaves"
}

fn place_words(place: &Place) -> String {
    let mut words = Vec::new();
    match (place.exists, place.artifacts) {
        (false, _) => words.push("will be created".to_owned()),
        (true, 0) => words.push("is there".to_owned()),
        (true, artifacts) => words.push(format!("{artifacts} artifacts, adopted where they lie")),
    }
    if let Some(free) = place.free {
        words.push(format!("{} free", size(free)));
    }
    words.join(", ")
}

fn directories(setup: &Setup, canvas: &mut Canvas<'_>, area: Rect) -> &'static str {
    let mut y = say(
        canvas,
        area,
        area.y,
        "Which directories shall hold the artifacts? One for each disk or mount: copies of an artifact go to different ones.",
        Role::Text,
    ) + 1;
    // The line that is typed stays in sight, with as many places above it as there is room for.
    let room = usize::from(area.bottom().saturating_sub(y + 1));
    let skip = setup.places.len().saturating_sub(room);
    for place in setup.places.iter().skip(skip) {
        place_line(canvas, area, y, place);
        y += 1;
    }
    if y < area.bottom() {
        draw_line(canvas, Rect { y, ..area }, &setup.typed, true);
    }
    if setup.places.is_empty() {
        "type a directory, enter adds it   esc back"
    } else {
        "enter adds, empty goes on   backspace takes back   esc back"
    }
}

fn place_line(canvas: &mut Canvas<'_>, area: Rect, y: u16, place: &Place) {
    let g = canvas.theme.glyphs;
    canvas.put(area.x, y, 1, g.marked, Role::Good);
    let words = place_words(place);
    let words_room = u16::try_from(text::width(&words)).unwrap_or(0);
    let room = area.width.saturating_sub(words_room + 5);
    let path = text::clean(&place.path.to_string_lossy());
    let path = text::middle(&path, usize::from(room), g.ellipsis);
    canvas.put(area.x + 2, y, room, &path, Role::Text);
    canvas.put_right(
        Rect {
            y,
            height: 1,
            ..area
        },
        &words,
        Role::Dim,
    );
}

fn grid(setup: &Setup, canvas: &mut Canvas<'_>, area: Rect) -> &'static str {
    let placement = if setup.rendezvous {
        "rendezvous: a partition can be added or drained, little moves"
    } else {
        "md5-modulo: as the Python sketches place them"
    };
    let fields = [
        (
            "partitions",
            setup.partitions.to_string(),
            "share the names between them",
        ),
        (
            "replicas",
            setup.replicas.to_string(),
            "copies of every artifact",
        ),
        ("placement", placement.to_owned(), ""),
    ];
    let mut y = area.y;
    for (at, (name, value, meaning)) in fields.iter().enumerate() {
        if y >= area.bottom() {
            break;
        }
        let chosen = at == setup.chosen;
        canvas.put(area.x + 2, y, 12, name, Role::Dim);
        let used = canvas.put(
            area.x + 14,
            y,
            area.width.saturating_sub(14),
            value,
            Role::Title,
        );
        if chosen {
            canvas.put(area.x, y, 1, canvas.theme.glyphs.marker, Role::Key);
            canvas.highlight(Rect::new(area.x + 14, y, used, 1), Role::Selected);
        }
        let x = area.x + 16 + used.max(3);
        canvas.put(x, y, area.right().saturating_sub(x), meaning, Role::Dim);
        y += 1;
    }
    y += 1;
    let mut notes: Vec<(String, Role)> = Vec::new();
    if let Some(refusal) = setup.refusal() {
        notes.push((refusal, Role::Critical));
    }
    notes.extend(setup.warnings().into_iter().map(|w| (w, Role::Warning)));
    for (words, role) in notes {
        y = say(canvas, area, y, &words, role);
    }
    y += 1;
    let volumes: Vec<_> = setup
        .volumes()
        .into_iter()
        .flat_map(|(name, directories)| {
            (1..)
                .zip(directories)
                .map(move |(n, d)| (format!("{name}.{n}"), d))
        })
        .collect();
    let room = usize::from(area.bottom().saturating_sub(y));
    let shown = if volumes.len() > room {
        room.saturating_sub(1)
    } else {
        volumes.len()
    };
    for (label, directory) in volumes.iter().take(shown) {
        canvas.put(area.x + 2, y, 10, label, Role::Title);
        let room = area.width.saturating_sub(14);
        let path = text::clean(&directory.to_string_lossy());
        let path = text::middle(&path, usize::from(room), canvas.theme.glyphs.ellipsis);
        canvas.put(area.x + 14, y, room, &path, Role::Text);
        y += 1;
    }
    if shown < volumes.len() && y < area.bottom() {
        let words = format!("and {} more", volumes.len() - shown);
        canvas.put(area.x + 14, y, area.width, &words, Role::Dim);
    }
    "up/down field   left/right, digits change   enter goes on   esc back"
}

fn backups(setup: &Setup, canvas: &mut Canvas<'_>, area: Rect) -> &'static str {
    let y = say(
        canvas,
        area,
        area.y,
        "Where shall backups go? A directory outside the volumes, best on another disk. Without one there are no backups.",
        Role::Text,
    ) + 1;
    if y < area.bottom() {
        draw_line(canvas, Rect { y, ..area }, &setup.typed, true);
    }
    "enter goes on (empty: no backups)   esc back"
}

fn preview(setup: &Setup, canvas: &mut Canvas<'_>, area: Rect) -> &'static str {
    let g = canvas.theme.glyphs;
    let target = text::clean(&setup.target().to_string_lossy());
    let marks: usize = setup.volumes().iter().map(|(_, d)| d.len()).sum();
    let words = format!("This is written to {target}, and {marks} volumes are marked:");
    let y = say(canvas, area, area.y, &words, Role::Text);
    let buttons = area.bottom().saturating_sub(1);
    let text_area = Rect {
        y: y + 1,
        height: buttons.saturating_sub(y + 2),
        x: area.x + 2,
        width: area.width.saturating_sub(2),
    };
    let lines: Vec<_> = setup.text.lines().collect();
    let rows = usize::from(text_area.height);
    let from = setup.scroll.min(lines.len().saturating_sub(rows));
    for (y, line) in (text_area.y..text_area.bottom()).zip(lines.iter().skip(from)) {
        canvas.put(area.x, y, 1, g.vertical, Role::Dim);
        let role = if line.starts_with('#') {
            Role::Dim
        } else {
            Role::Text
        };
        canvas.put(text_area.x, y, text_area.width, &text::clean(line), role);
    }
    if buttons > y {
        let used = canvas.put(area.x, buttons, area.width, "[ Back ]", Role::Title);
        let x = area.x + used + 3;
        let room = area.right().saturating_sub(x);
        let width = canvas.put(x, buttons, room, "[ Write and mark ]", Role::Title);
        let focused = if setup.on_write {
            Rect::new(x, buttons, width, 1)
        } else {
            Rect::new(area.x, buttons, used, 1)
        };
        canvas.highlight(focused, Role::Selected);
    }
    if setup.known.files.len() > 1 {
        "tab moves   enter takes   o another file   up/down scroll   esc back"
    } else {
        "tab moves   enter takes   up/down scroll   esc back"
    }
}
