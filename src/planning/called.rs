//! A text that makes a temporary function around one INSERT, calls it and drops it: so an ORM (Sequelize's `findOrCreate`)
//! learns of a unique violation without failing its transaction. In: the text of a Query. Out: where the INSERT in it is; what
//! is around that reads and writes nothing, so the whole is the INSERT's and runs where that belongs. Any other text is none.

use std::ops::Range;

/// The INSERT in `CREATE FUNCTION pg_temp.f(OUT r t, OUT e text) RETURNS RECORD AS $q$ BEGIN INSERT ... RETURNING * INTO r;
/// EXCEPTION WHEN unique_violation THEN GET STACKED DIAGNOSTICS e = PG_EXCEPTION_DETAIL; END $q$ LANGUAGE plpgsql; SELECT
/// (f.r)."column", ..., f.e FROM pg_temp.f(); DROP FUNCTION IF EXISTS pg_temp.f();`
pub fn insert_in(sql: &[u8]) -> Option<Range<usize>> {
    // Most of what is refused begins otherwise.
    if !sql.get(..6)?.eq_ignore_ascii_case(b"create") {
        return None;
    }
    let mut eyes = Eyes { text: std::str::from_utf8(sql).ok()?, at: 0 };
    eyes.words("create")?;
    let _ = eyes.words("or replace");
    eyes.words("function pg_temp .")?;
    let function = eyes.name()?;
    eyes.words("( out")?;
    let row = eyes.name()?;
    eyes.name()?;
    if eyes.words(".").is_some() {
        eyes.name()?;
    }
    eyes.words(", out")?;
    let error = eyes.name()?;
    eyes.words("text ) returns record as")?;
    let (body, begin) = eyes.quoted()?;
    eyes.words("language plpgsql ; select")?;
    loop {
        if eyes.words("(").is_some() {
            eyes.same(function)?;
            eyes.words(".")?;
            eyes.same(row)?;
            eyes.words(") .")?;
            if eyes.words("*").is_none() {
                eyes.name()?;
            }
        } else {
            eyes.same(function)?;
            eyes.words(".")?;
            eyes.same(error)?;
        }
        if eyes.words(",").is_none() {
            break;
        }
    }
    eyes.words("from pg_temp .")?;
    eyes.same(function)?;
    eyes.words("( ) ; drop function if exists pg_temp .")?;
    eyes.same(function)?;
    eyes.words("( )")?;
    let _ = eyes.words(";");
    eyes.ends()?;

    // What the literals of the INSERT say may look like the rest: that is the last one.
    const RETURNING: &str = "RETURNING * INTO ";
    let returning = body.rfind(RETURNING)?;
    let mut tail = Eyes { text: body, at: returning + RETURNING.len() };
    tail.same(row)?;
    tail.words("; exception when unique_violation then get stacked diagnostics")?;
    tail.same(error)?;
    tail.words("= pg_exception_detail ; end")?;
    let _ = tail.words(";");
    tail.ends()?;
    let mut head = Eyes { text: body, at: 0 };
    head.words("begin")?;
    head.blanks();
    let insert = body.get(head.at..returning)?;
    head.words("insert into")?;
    let from = begin + body.len() - body.get(returning..)?.len() - insert.len();
    Some(from..from + insert.trim_end().len())
}

/// Where one is in a text.
struct Eyes<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Eyes<'s> {
    fn rest(&self) -> &'s str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// All of these words and signs, or none.
    fn words(&mut self, wanted: &str) -> Option<()> {
        let before = self.at;
        for word in wanted.split(' ') {
            self.blanks();
            let rest = self.rest();
            let is_it = rest.get(..word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word));
            let is_word = word.ends_with(|letter: char| letter.is_ascii_alphanumeric());
            let goes_on = rest.get(word.len()..).is_some_and(|behind| behind.starts_with(is_part_of_name));
            if !is_it || (is_word && goes_on) {
                self.at = before;
                return None;
            }
            self.at += word.len();
        }
        Some(())
    }

    /// A name as it is written, in quotes or not.
    fn name(&mut self) -> Option<&'s str> {
        self.blanks();
        let rest = self.rest();
        let len = match rest.strip_prefix('"') {
            // A quote within a name would be doubled: none of those.
            Some(quoted) => quoted.find('"').filter(|len| !quoted[len + 1..].starts_with('"'))? + 2,
            None => rest.find(|letter: char| !is_part_of_name(letter)).unwrap_or(rest.len()),
        };
        let name = rest
            .get(..len)
            .filter(|name| !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit()))?;
        self.at += len;
        Some(name)
    }

    fn same(&mut self, name: &str) -> Option<()> {
        self.name().filter(|found| *found == name).map(|_| ())
    }

    /// What is between dollar quotes, and where it begins.
    fn quoted(&mut self) -> Option<(&'s str, usize)> {
        self.blanks();
        let rest = self.rest();
        let inner = rest.strip_prefix('$')?;
        let tag = rest.get(..inner.find('$')? + 2)?;
        if !tag.trim_matches('$').chars().all(|letter| is_part_of_name(letter) && letter != '$') {
            return None;
        }
        let begin = self.at + tag.len();
        let body = rest.get(tag.len()..)?;
        let len = body.find(tag)?;
        self.at = begin + len + tag.len();
        Some((body.get(..len)?, begin))
    }

    fn ends(&mut self) -> Option<()> {
        self.blanks();
        self.rest().is_empty().then_some(())
    }
}

fn is_part_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "CREATE OR REPLACE FUNCTION pg_temp.testfunc(OUT response \"items\", OUT sequelize_caught_exception text) RETURNS RECORD AS $func_1a$ BEGIN INSERT INTO \"items\" (\"id\",\"a\") VALUES (1,'x') RETURNING * INTO response; EXCEPTION WHEN unique_violation THEN GET STACKED DIAGNOSTICS sequelize_caught_exception = PG_EXCEPTION_DETAIL; END $func_1a$ LANGUAGE plpgsql; SELECT (testfunc.response).\"id\", (testfunc.response).\"a\", testfunc.sequelize_caught_exception FROM pg_temp.testfunc(); DROP FUNCTION IF EXISTS pg_temp.testfunc();";

    fn found(text: &str) -> Option<&str> {
        insert_in(text.as_bytes()).map(|range| &text[range])
    }

    #[test]
    fn the_insert_is_found() {
        assert_eq!(found(TEXT), Some("INSERT INTO \"items\" (\"id\",\"a\") VALUES (1,'x')"));
        let tricky = "'y' RETURNING * INTO response; EXCEPTION'";
        let text = TEXT.replace("'x'", tricky);
        assert_eq!(found(&text), Some(&*format!("INSERT INTO \"items\" (\"id\",\"a\") VALUES (1,{tricky})")));
        assert!(
            found(
                &TEXT
                    .replace("\"items\",", "\"s\".\"items\",")
                    .replace("(testfunc.response).\"a\"", "(testfunc.response).*")
            )
            .is_some()
        );
    }

    #[test]
    fn anything_else_is_none() {
        for (from, to) in [
            ("pg_temp.testfunc(OUT", "public.testfunc(OUT"),
            ("FROM pg_temp.testfunc();", "FROM pg_temp.testfunc(), users;"),
            ("testfunc.sequelize_caught_exception FROM", "now() FROM"),
            ("testfunc.sequelize_caught_exception FROM", "testfunc.other FROM"),
            ("DROP FUNCTION IF EXISTS pg_temp.testfunc();", ""),
            (
                "DROP FUNCTION IF EXISTS pg_temp.testfunc();",
                "DROP FUNCTION IF EXISTS pg_temp.testfunc(); DELETE FROM users",
            ),
            ("BEGIN INSERT", "BEGIN DELETE FROM users; INSERT"),
            ("BEGIN INSERT", "DECLARE a int; BEGIN INSERT"),
            ("PG_EXCEPTION_DETAIL;", "PG_EXCEPTION_DETAIL; DELETE FROM users;"),
            ("WHEN unique_violation", "WHEN others"),
            ("LANGUAGE plpgsql", "LANGUAGE plpgsql SECURITY DEFINER"),
            ("INTO response;", "INTO other;"),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT, "{from}");
            assert_eq!(found(&text), None, "{from} -> {to}");
        }
        assert_eq!(found("CREATE TABLE t ()"), None);
        assert_eq!(found(&TEXT[..TEXT.len() - 40]), None);
    }
}
