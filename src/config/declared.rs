//! How a table says where its rows are, in a comment or by the configuration's rule for new tables: `key=user_id`. In: text.
//! Out: what it says.

use std::fmt;

/// What such a comment begins with.
pub const PREFIX: &str = "shardway:";

/// What it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Declared {
    Sharded {
        key: String,
        /// Schema and name of a table with the same key and placement.
        colocate: Option<(String, String)>,
    },
    Reference,
}

/// Reads a comment; `None`: it says nothing of a placement. What follows a semicolon is for people.
///
/// # Errors
/// The part that isn't understood.
pub fn read(comment: &str) -> Option<Result<Declared, String>> {
    let said = comment.strip_prefix(PREFIX)?;
    let said = said.split(';').next().unwrap_or_default().trim();
    if said == "reference" {
        return Some(Ok(Declared::Reference));
    }
    let (mut key, mut colocate) = (None, None);
    for word in said.split_whitespace() {
        let place = match word.split_once('=') {
            Some(("key", name)) if key.is_none() && !name.is_empty() => key.insert(name.to_owned()),
            Some(("colocate", name)) if colocate.is_none() && !name.is_empty() => colocate.insert(name.to_owned()),
            _ => return Some(Err(word.to_owned())),
        };
        if place.contains(['"', '\'']) {
            return Some(Err(word.to_owned()));
        }
    }
    let split = |name: String| match name.split_once('.') {
        Some((schema, name)) => (schema.to_owned(), name.to_owned()),
        None => ("public".to_owned(), name),
    };
    Some(match key {
        Some(key) => Ok(Declared::Sharded { key, colocate: colocate.map(split) }),
        None => Err(said.to_owned()),
    })
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference => f.write_str("reference"),
            Self::Sharded { key, colocate: None } => write!(f, "key={key}"),
            Self::Sharded { key, colocate: Some((schema, name)) } => write!(f, "key={key} colocate={schema}.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_says_a_key_or_nothing() {
        let sharded = |key: &str, colocate: Option<(&str, &str)>| {
            let colocate = colocate.map(|(schema, name)| (schema.to_owned(), name.to_owned()));
            Some(Ok(Declared::Sharded { key: key.to_owned(), colocate }))
        };
        assert_eq!(read("shardway: key=user_id"), sharded("user_id", None));
        assert_eq!(read("shardway:key=a colocate=users; orders"), sharded("a", Some(("public", "users"))));
        assert_eq!(read("shardway: colocate=s.users key=a"), sharded("a", Some(("s", "users"))));
        assert_eq!(read("shardway: reference; all of them"), Some(Ok(Declared::Reference)));
        assert_eq!(read("about shardway: key=a"), None);
        for wrong in
            ["shardway:", "shardway: kye=a", "shardway: key=", "shardway: key=a key=b", "shardway: key=\"A b\""]
        {
            assert!(matches!(read(wrong), Some(Err(_))), "{wrong}");
        }
    }
}
