//! The client's messages (PostgreSQL documentation, 55.7).

pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    all.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    all.extend(body);
    all
}

fn texts(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| text.bytes().chain([0])).collect()
}

pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(texts(&[name, value]));
    }
    body.push(0);
    let mut all = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    all.extend(body);
    all
}

pub fn cancel(process_id: u32, secret: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(12 + secret.len()).unwrap().to_be_bytes().to_vec();
    all.extend(80_877_102_u32.to_be_bytes());
    all.extend(process_id.to_be_bytes());
    all.extend(secret);
    all
}

pub fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &texts(&[sql]))
}

pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = texts(&[name, sql]);
    body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    frame(b'P', &body)
}

/// Text parameters, text results.
pub fn bind(portal: &str, statement: &str, values: &[Option<&str>]) -> Vec<u8> {
    let values: Vec<Option<&[u8]>> = values.iter().map(|value| value.map(str::as_bytes)).collect();
    bind_formats(portal, statement, &[], &values, &[])
}

pub fn bind_formats(
    portal: &str,
    statement: &str,
    formats: &[u16],
    values: &[Option<&[u8]>],
    results: &[u16],
) -> Vec<u8> {
    let count = |number: usize| u16::try_from(number).unwrap().to_be_bytes();
    let mut body = texts(&[portal, statement]);
    body.extend(count(formats.len()));
    body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    body.extend(count(values.len()));
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(bytes) => {
                body.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
                body.extend(*bytes);
            }
        }
    }
    body.extend(count(results.len()));
    body.extend(results.iter().flat_map(|format| format.to_be_bytes()));
    frame(b'B', &body)
}

pub fn describe_statement(name: &str) -> Vec<u8> {
    frame(b'D', &texts(&[&format!("S{name}")]))
}

pub fn describe_portal(name: &str) -> Vec<u8> {
    frame(b'D', &texts(&[&format!("P{name}")]))
}

pub fn close_statement(name: &str) -> Vec<u8> {
    frame(b'C', &texts(&[&format!("S{name}")]))
}

pub fn close_portal(name: &str) -> Vec<u8> {
    frame(b'C', &texts(&[&format!("P{name}")]))
}

pub fn execute(portal: &str, rows: i32) -> Vec<u8> {
    let mut body = texts(&[portal]);
    body.extend(rows.to_be_bytes());
    frame(b'E', &body)
}

pub fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

pub fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

pub fn copy_data(bytes: &[u8]) -> Vec<u8> {
    frame(b'd', bytes)
}

pub fn copy_done() -> Vec<u8> {
    frame(b'c', b"")
}

pub fn copy_fail(reason: &str) -> Vec<u8> {
    frame(b'f', &texts(&[reason]))
}

pub fn terminate() -> Vec<u8> {
    frame(b'X', b"")
}

/// Parse, Bind, Execute of the unnamed statement, without Sync.
pub fn once(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat()
}
