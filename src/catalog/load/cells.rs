//! The rows of a catalog query in text format, which every connection can give: those of the control plane, and a
//! client's own in the middle of its transaction.

/// One row.
#[derive(Debug)]
pub struct Cells(pub Vec<Option<String>>);

/// A cell that isn't what its query gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("column {0} of a row of the catalog is not as it should be")]
pub struct Malformed(usize);

pub trait FromCell: Sized {
    fn from_cell(cell: Option<&str>) -> Option<Self>;
}

impl Cells {
    pub fn try_get<T: FromCell>(&self, at: usize) -> Result<T, Malformed> {
        T::from_cell(self.0.get(at).ok_or(Malformed(at))?.as_deref()).ok_or(Malformed(at))
    }
}

impl FromCell for String {
    fn from_cell(cell: Option<&str>) -> Option<Self> {
        cell.map(str::to_owned)
    }
}

impl FromCell for bool {
    fn from_cell(cell: Option<&str>) -> Option<Self> {
        match cell? {
            "t" => Some(true),
            "f" => Some(false),
            _ => None,
        }
    }
}

macro_rules! number {
    ($($type:ty)*) => {
        $(impl FromCell for $type {
            fn from_cell(cell: Option<&str>) -> Option<Self> {
                cell?.parse().ok()
            }
        })*
    };
}

number!(i16 i32 u32);

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Option<&str>) -> Option<Self> {
        match cell {
            None => Some(None),
            Some(_) => T::from_cell(cell).map(Some),
        }
    }
}

/// An array of one dimension without NULLs.
impl FromCell for Vec<String> {
    fn from_cell(cell: Option<&str>) -> Option<Self> {
        let inner = cell?.strip_prefix('{')?.strip_suffix('}')?;
        let mut elements = Vec::new();
        let mut characters = inner.chars().peekable();
        while characters.peek().is_some() {
            let mut element = String::new();
            if characters.next_if_eq(&'"').is_some() {
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => element.push(characters.next()?),
                        other => element.push(other),
                    }
                }
            } else {
                while let Some(character) = characters.next_if(|character| *character != ',') {
                    element.push(character);
                }
            }
            elements.push(element);
            match characters.next() {
                None | Some(',') => {}
                Some(_) => return None,
            }
        }
        Some(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: FromCell>(cell: Option<&str>) -> Option<T> {
        Cells(vec![cell.map(str::to_owned)]).try_get(0).ok()
    }

    #[test]
    fn cells_are_read_as_their_types() {
        assert_eq!(read::<bool>(Some("t")), Some(true));
        assert_eq!(read::<i32>(Some("-1")), Some(-1));
        assert_eq!(read::<Option<String>>(None), Some(None));
        assert_eq!(read::<String>(None), None);
        assert_eq!(read::<Vec<String>>(Some("{}")), Some(vec![]));
        let wanted = ["a", "b c", "d\"e\\", "", "f,g"].map(str::to_owned).to_vec();
        assert_eq!(read::<Vec<String>>(Some(r#"{a,"b c","d\"e\\","","f,g"}"#)), Some(wanted));
        assert_eq!(Cells(vec![]).try_get::<bool>(3), Err(Malformed(3)));
    }
}
