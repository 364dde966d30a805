//! `shardway top`: what a running proxy does, in a terminal. In: the address of its HTTP pages. Out: a picture that is
//! drawn anew every few seconds, or one as text. It asks only what the dashboard asks, and changes nothing.

mod rates;
mod reading;
mod view;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::config::Config;
use reading::{Address, Database, Reading};
use view::{Scene, draw};

/// The arguments of the command.
#[derive(clap::Args, Clone, Debug)]
pub struct TopOptions {
    /// The address of `admin` under [server], as in http://USER:PASSWORD@HOST:PORT; on the proxy's own machine without
    /// a user.
    #[arg(long, required_unless_present = "config", conflicts_with = "config")]
    pub url: Option<String>,
    /// The proxy's configuration file, to find the address in.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The database to begin with.
    #[arg(long, short)]
    pub database: Option<String>,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub every: u16,
    /// Look twice, print what is seen as text, and end.
    #[arg(long)]
    pub once: bool,
}

/// Columns and rows of what `--once` prints: a line of a statement is seldom longer.
const PRINTED: (u16, u16) = (160, 60);

/// Looks until it is told to end.
///
/// # Errors
/// A proxy that can't be asked at first, an unknown database, no terminal.
pub fn run(options: &TopOptions) -> Result<(), String> {
    let address = address(options)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let look = || runtime.block_on(reading::read(&address));
    let every = Duration::from_secs(options.every.into());
    let first = look()?;
    let chosen = chosen(&first, options.database.as_deref())?;
    if options.once {
        std::thread::sleep(every);
        return print(&first, &look()?, &chosen);
    }
    if !std::io::stdout().is_terminal() {
        return Err("stdout is no terminal; --once prints what there is as text".to_owned());
    }
    let mut terminal = ratatui::try_init().map_err(|error| error.to_string())?;
    let ended = watch(&mut terminal, first, chosen, every, look);
    ratatui::restore();
    ended.map_err(|error| error.to_string())
}

fn address(options: &TopOptions) -> Result<Address, String> {
    if let Some(url) = &options.url {
        return Address::of(url);
    }
    let path = options.config.as_deref().ok_or("--url or --config is needed")?;
    let config = Config::load(path).map_err(|error| error.to_string())?.config;
    let admin = config.server.admin.ok_or("the file names no `admin` under [server]: the proxy serves no pages")?;
    // What listens everywhere is asked here.
    let host = if admin.ip().is_unspecified() { format!("127.0.0.1:{}", admin.port()) } else { admin.to_string() };
    let plain = Address::of(&format!("http://{host}"))?;
    let known = config.users.iter().find(|user| user.admin || user.stats).filter(|_| !admin.ip().is_loopback());
    let authorization = known.and_then(|user| {
        use base64::Engine;
        let login = format!("{}:{}", user.name, user.password.as_ref()?.reveal());
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login)))
    });
    Ok(Address { authorization, ..plain })
}

fn chosen(reading: &Reading, name: Option<&str>) -> Result<String, String> {
    let names = || reading.databases.iter().map(|database| database.name.as_str());
    match name {
        None => names().next().map(str::to_owned).ok_or_else(|| "the proxy serves no database".to_owned()),
        Some(name) if names().any(|known| known == name) => Ok(name.to_owned()),
        Some(name) => Err(format!("there is no database {name}; there are {}", names().collect::<Vec<_>>().join(", "))),
    }
}

/// The chosen one, or the first if a reload has taken it away.
fn found<'a>(reading: &'a Reading, name: &str) -> Option<&'a Database> {
    reading.databases.iter().find(|database| database.name == name).or(reading.databases.first())
}

fn print(earlier: &Reading, now: &Reading, chosen: &str) -> Result<(), String> {
    let Some(database) = found(now, chosen) else { return Err("the proxy serves no database".to_owned()) };
    let scene = Scene { earlier: Some(earlier), now, database, trouble: None };
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut terminal = Terminal::new(TestBackend::new(PRINTED.0, PRINTED.1)).map_err(|error| text(&error))?;
    terminal.draw(|frame| draw(frame, &scene)).map_err(|error| text(&error))?;
    let buffer = terminal.backend().buffer();
    let mut shown = String::new();
    for row in 0..PRINTED.1 {
        let line: String = (0..PRINTED.0).filter_map(|column| Some(buffer.cell((column, row))?.symbol())).collect();
        shown.push_str(line.trim_end());
        shown.push('\n');
    }
    // A reader that went away, as in `| head`, is no reason to panic.
    let _ = writeln!(std::io::stdout(), "{}", shown.trim_end());
    Ok(())
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    first: Reading,
    mut chosen: String,
    every: Duration,
    look: impl Fn() -> Result<Reading, String>,
) -> std::io::Result<()> {
    let (mut earlier, mut now, mut trouble) = (None, first, None);
    let mut next = Instant::now() + every;
    loop {
        if let Some(database) = found(&now, &chosen) {
            let scene = Scene { earlier: earlier.as_ref(), now: &now, database, trouble: trouble.as_deref() };
            terminal.draw(|frame| draw(frame, &scene))?;
        }
        if event::poll(next.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                    KeyCode::Tab => chosen = following(&now, &chosen),
                    _ => {}
                },
                _ => {}
            }
            continue;
        }
        next = Instant::now() + every;
        match look() {
            Ok(reading) => {
                earlier = Some(std::mem::replace(&mut now, reading));
                trouble = None;
            }
            Err(error) => trouble = Some(error),
        }
    }
}

fn following(reading: &Reading, name: &str) -> String {
    let at = reading.databases.iter().position(|database| database.name == name).map_or(0, |at| at + 1);
    let next = reading.databases.get(at).or(reading.databases.first());
    next.map_or_else(|| name.to_owned(), |database| database.name.clone())
}
