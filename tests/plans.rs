//! Golden plans: each file of `tests/plans` has statements and, indented below each, what becomes of
//! it. `UPDATE_PLANS=1 cargo test --test plans` writes the files anew: read the difference before
//! committing it.
//!
//! Lines beginning with `@` say how the next statement is sent, or, before the first blank line of a
//! file, all of them: `@shards 3`, `@no-catalog`, `@names-only` (no catalog and no key types),
//! `@path a, b`, `@temp t`, `@set key=1`, `@strings off`, `@params int8=1, text='x', ?=5`.

#[path = "plans/scene.rs"]
mod scene;

use std::fmt::Write as _;
use std::path::Path;

use scene::{Case, render};

#[test]
fn plans_are_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .expect("the directory of golden plans")
        .map(|entry| entry.expect("an entry of it").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let update = std::env::var_os("UPDATE_PLANS").is_some();
    let (mut differences, mut cases) = (String::new(), 0);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a golden file");
        let (fresh, count) = regenerate(&text);
        cases += count;
        if fresh == text {
            continue;
        }
        if update {
            std::fs::write(&path, fresh).expect("write a golden file");
        } else {
            difference(&mut differences, &path, &text, &fresh);
        }
    }
    println!("{cases} plans");
    assert!(differences.is_empty(), "plans differ (UPDATE_PLANS=1 to accept):\n{differences}");
}

/// The file with every plan as it is now.
fn regenerate(text: &str) -> (String, usize) {
    let mut out = String::new();
    let mut count = 0;
    let mut defaults = Case::default();
    for (position, block) in text.split("\n\n").enumerate() {
        let mut case = defaults.clone();
        let (mut sql, mut header) = (String::new(), String::new());
        for line in block.lines() {
            if line.starts_with("# ") || line == "#" {
                header.push_str(line);
                header.push('\n');
            } else if let Some(directive) = line.strip_prefix('@') {
                case.direct(directive);
                header.push_str(line);
                header.push('\n');
            } else if !line.starts_with("    ") && !line.trim().is_empty() {
                sql.push_str(line);
                sql.push('\n');
            }
        }
        if sql.is_empty() {
            if position == 0 {
                defaults = case;
            }
            if !header.is_empty() {
                out.push_str(&header);
                out.push('\n');
            }
            continue;
        }
        count += 1;
        out.push_str(&header);
        out.push_str(&sql);
        for line in render(&case, sql.trim_end()).lines() {
            let _ = writeln!(out, "    {line}");
        }
        out.push('\n');
    }
    (format!("{}\n", out.trim_end()), count)
}

fn difference(out: &mut String, path: &Path, text: &str, fresh: &str) {
    let _ = writeln!(out, "--- {}", path.display());
    let (old, new): (Vec<&str>, Vec<&str>) = (text.split("\n\n").collect(), fresh.split("\n\n").collect());
    for position in 0..old.len().max(new.len()) {
        let (old, new) = (old.get(position).unwrap_or(&""), new.get(position).unwrap_or(&""));
        if old.trim_end() != new.trim_end() {
            let _ = writeln!(out, "was:\n{old}\nis:\n{new}\n");
        }
    }
}
