//! One picture of the terminal. In: two readings and which database is looked at. Out: a frame; nothing is asked or kept.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use super::rates::{self, Rates};
use super::reading::{Database, Node, Reading};

/// What is looked at.
pub struct Scene<'a> {
    pub earlier: Option<&'a Reading>,
    pub now: &'a Reading,
    pub database: &'a Database,
    /// Why there is nothing newer, if so.
    pub trouble: Option<&'a str>,
}

pub fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let own = |name: &str| name == scene.database.name;
    let nodes: Vec<&Node> = scene.now.nodes.iter().filter(|node| own(&node.database)).collect();
    let pools = scene.now.pools.iter().filter(|pool| own(&pool.database)).count();
    let in_doubt = scene.now.in_doubt.iter().filter(|left| own(&left.database)).count();
    let rows = |count: usize, most: usize| Constraint::Length(u16::try_from(count.clamp(1, most)).unwrap_or(1) + 2);
    let [head, figures, nodes_at, pools_at, doubt, running, statements] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(3),
        rows(nodes.len(), 12),
        rows(pools, 5),
        if in_doubt == 0 { Constraint::Length(0) } else { rows(in_doubt, 5) },
        Constraint::Fill(1),
        Constraint::Fill(2),
    ])
    .areas(frame.area());
    frame.render_widget(heading(scene), head);
    frame.render_widget(summary(scene), figures);
    draw_nodes(frame, nodes_at, scene, &nodes);
    draw_pools(frame, pools_at, scene);
    if in_doubt > 0 {
        draw_doubt(frame, doubt, scene);
    }
    draw_running(frame, running, scene);
    draw_statements(frame, statements, scene);
}

fn heading(scene: &Scene<'_>) -> Line<'static> {
    let (now, database) = (scene.now, scene.database);
    let up = format!(" {}, up {}, database ", now.version, lasting(now.uptime_seconds));
    let mut spans = vec!["Shardway".bold(), Span::raw(up), database.name.clone().bold()];
    if now.databases.len() > 1 {
        spans.push(Span::raw(format!(" (of {}, Tab for the next)", now.databases.len())));
    }
    let map = database.map_version.as_deref().unwrap_or("not known yet");
    spans.push(Span::raw(format!(", shard map {map}  ")));
    let state = match (scene.trouble, &database.refused) {
        (Some(trouble), _) => Some(trouble.to_owned()),
        (None, Some(refused)) => Some(refused.clone()),
        (None, None) if now.draining => Some("draining".to_owned()),
        (None, None) => database.paused.then(|| "paused".to_owned()),
    };
    spans.extend(state.map(|state| state.fg(Color::Red)));
    Line::from(spans)
}

fn summary(scene: &Scene<'_>) -> Paragraph<'static> {
    let Rates { requests, transactions, received, sent, mean, known_share } =
        rates::of_database(scene.earlier, scene.now, scene.database);
    let clients = scene.now.clients.iter().filter(|one| one.database == scene.database.name);
    let all: u64 = clients.clone().map(|one| one.count).sum();
    let waiting: u64 = clients.filter(|one| one.phase == "waiting").map(|one| one.count).sum();
    let share = known_share.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let first = format!(
        "{} requests/s   {} transactions/s   {} mean   {share} of known shapes",
        rate(requests),
        rate(transactions),
        time(mean)
    );
    let second =
        format!("{all} clients, {waiting} waiting   {}/s from clients   {}/s to clients", size(received), size(sent));
    Paragraph::new(vec![Line::from(first), Line::from(second)])
}

/// A table under its title.
fn table(frame: &mut Frame<'_>, at: Rect, title: &str, columns: &[(&str, Constraint)], rows: Vec<Row<'static>>) {
    let head = Row::new(columns.iter().map(|(name, _)| Cell::from((*name).to_owned())));
    let widths = columns.iter().map(|(_, width)| *width);
    let block = Block::new().borders(Borders::TOP).title(format!(" {title} "));
    let made = Table::new(rows, widths).header(head.style(Style::new().add_modifier(Modifier::DIM))).block(block);
    frame.render_widget(made, at);
}

fn draw_nodes(frame: &mut Frame<'_>, at: Rect, scene: &Scene<'_>, nodes: &[&Node]) {
    let row = |node: &&Node| {
        let rates = rates::of_node(scene.earlier, scene.now, node);
        let state = match (&node.failure, &node.problem) {
            (Some(failure), _) => format!("down: {failure}").fg(Color::Red),
            (None, Some(problem)) => problem.clone().fg(Color::Yellow),
            (None, None) => if node.up { "up" } else { "down" }.fg(if node.up { Color::Green } else { Color::Red }),
        };
        let behind = match (node.role.as_str(), node.lag, node.lag_bytes) {
            ("replica", Some(lag), bytes) => format!("{}, {}", time(Some(lag)), size(bytes.unwrap_or(0.0))),
            _ => String::new(),
        };
        let home = if node.shard == scene.database.home { " (home)" } else { "" };
        Row::new([
            Cell::from(format!("{}{home}", node.shard)),
            Cell::from(node.role.clone()),
            Cell::from(node.address.clone()),
            Cell::from(rate(rates.requests)),
            Cell::from(time(rates.median)),
            Cell::from(time(rates.worst)),
            Cell::from(format!("{}/{}", node.in_use, node.connections)),
            Cell::from(behind),
            Cell::from(Line::from(state)),
        ])
    };
    let columns = [
        ("shard", Constraint::Length(12)),
        ("role", Constraint::Length(8)),
        ("address", Constraint::Length(22)),
        ("requests/s", Constraint::Length(10)),
        ("median", Constraint::Length(9)),
        ("99 %", Constraint::Length(9)),
        ("in use", Constraint::Length(7)),
        ("behind", Constraint::Length(16)),
        ("state", Constraint::Fill(1)),
    ];
    table(frame, at, "Nodes", &columns, nodes.iter().map(row).collect());
}

fn draw_pools(frame: &mut Frame<'_>, at: Rect, scene: &Scene<'_>) {
    let own = scene.now.pools.iter().filter(|pool| pool.database == scene.database.name);
    let row = |pool: &super::reading::Pool| {
        let numbers = [pool.in_use, pool.idle, pool.waiting, pool.size];
        Row::new(std::iter::once(pool.user.clone()).chain(numbers.map(|number| number.to_string())))
    };
    let number = Constraint::Length(11);
    let columns = [
        ("user", Constraint::Length(24)),
        ("in use", number),
        ("idle", number),
        ("waiting", number),
        ("most a node", number),
    ];
    table(frame, at, "Pools", &columns, own.map(row).collect());
}

fn draw_doubt(frame: &mut Frame<'_>, at: Rect, scene: &Scene<'_>) {
    let own = scene.now.in_doubt.iter().filter(|left| left.database == scene.database.name);
    let row = |left: &super::reading::InDoubt| {
        Row::new([left.gid.clone(), left.shard.clone(), lasting(left.seconds), left.state.clone()])
    };
    let columns = [
        ("transaction", Constraint::Fill(1)),
        ("shard", Constraint::Length(12)),
        ("age", Constraint::Length(10)),
        ("state", Constraint::Length(24)),
    ];
    table(frame, at, "In doubt", &columns, own.map(row).collect());
}

fn draw_running(frame: &mut Frame<'_>, at: Rect, scene: &Scene<'_>) {
    let own = scene.now.running.iter().filter(|one| one.database == scene.database.name);
    let row = |one: &super::reading::Running| {
        Row::new([
            one.client.to_string(),
            one.user.clone(),
            one.phase.clone(),
            time(Some(one.seconds)),
            one.shards.join(","),
            one.strategy.clone(),
            one.statement.clone().unwrap_or_default(),
        ])
    };
    let columns = [
        ("client", Constraint::Length(11)),
        ("user", Constraint::Length(12)),
        ("phase", Constraint::Length(11)),
        ("since", Constraint::Length(9)),
        ("shards", Constraint::Length(12)),
        ("plan", Constraint::Length(12)),
        ("statement", Constraint::Fill(1)),
    ];
    table(frame, at, "Running", &columns, own.map(row).collect());
}

/// The most expensive shapes, and below them what was slow lately.
fn draw_statements(frame: &mut Frame<'_>, at: Rect, scene: &Scene<'_>) {
    let [expensive, slow] = Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).areas(at);
    let row = |shape: &super::reading::Shape| {
        Row::new([
            rate(shape.calls),
            time((shape.calls > 0.0).then(|| shape.seconds / shape.calls)),
            time(Some(shape.longest)),
            rate(shape.errors),
            shape.strategies.join(","),
            shape.statement.clone(),
        ])
    };
    let columns = [
        ("calls", Constraint::Length(9)),
        ("mean", Constraint::Length(9)),
        ("longest", Constraint::Length(9)),
        ("errors", Constraint::Length(7)),
        ("plan", Constraint::Length(16)),
        ("statement", Constraint::Fill(1)),
    ];
    table(frame, expensive, "Most expensive statements", &columns, scene.database.plans.iter().map(row).collect());
    let row = |slow: &super::reading::Slow| {
        Row::new([time(Some(slow.seconds)), slow.user.clone(), slow.strategy.clone(), slow.statement.clone()])
    };
    let columns = [
        ("took", Constraint::Length(9)),
        ("user", Constraint::Length(12)),
        ("plan", Constraint::Length(12)),
        ("statement", Constraint::Fill(1)),
    ];
    table(frame, slow, "Slow statements", &columns, scene.database.slow.iter().map(row).collect());
}

fn rate(value: f64) -> String {
    if value > 0.0 && value < 10.0 && value.fract() != 0.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 0.01 => format!("{:.2} ms", seconds * 1e3),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1e4 => format!("{bytes:.0} B"),
        bytes if bytes < 1e7 => format!("{:.0} kB", bytes / 1e3),
        bytes => format!("{:.0} MB", bytes / 1e6),
    }
}

fn lasting(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        seconds => format!("{:.0} days", seconds / 86400.0),
    }
}
