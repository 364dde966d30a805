//! What looking at the protocol costs: finding the frames in a full read of rows, which the relay does for
//! every row, and reading the messages of a prepared statement without copying a field.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shardway::protocol::frame;
use shardway::protocol::frontend::{Bind, BindValue, Execute, Parse};
use shardway::types::limits::FRAME_BYTES_MAX;

/// A full read at its largest.
const READ_BYTES: usize = 64 << 10;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![tag];
    let length = i32::try_from(body.len() + 4).expect("it is short");
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// A DataRow of one of pgbench's accounts: four columns, the last of 84 bytes.
fn row() -> Vec<u8> {
    let mut body = 4_i16.to_be_bytes().to_vec();
    for value in ["471100", "5", "0", &" ".repeat(84)] {
        body.extend_from_slice(&i32::try_from(value.len()).expect("it is short").to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    message(b'D', &body)
}

fn scan(criterion: &mut Criterion) {
    let rows = row().repeat(READ_BYTES / row().len());
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Bytes(rows.len() as u64));
    group.bench_function("scan 64 KiB of rows", |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(rows.as_slice());
            let mut count = 0_usize;
            while let Ok(Some(header)) = frame::peek(rest, FRAME_BYTES_MAX + 1) {
                let Some(behind) = rest.get(header.len..) else {
                    break;
                };
                rest = behind;
                count += 1;
            }
            count
        });
    });
    group.finish();
}

/// The portal's name is empty, as drivers have it.
fn bind() -> Vec<u8> {
    let mut body = b"\0statement_1\0".to_vec();
    for format in [1_i16, 1] {
        body.extend_from_slice(&format.to_be_bytes());
    }
    let values: [&[u8]; 3] = [&4711_i64.to_be_bytes(), b"open", &20_i32.to_be_bytes()];
    body.extend_from_slice(&i16::try_from(values.len()).expect("three").to_be_bytes());
    for value in values {
        body.extend_from_slice(&i32::try_from(value.len()).expect("it is short").to_be_bytes());
        body.extend_from_slice(value);
    }
    body.extend_from_slice(&0_i16.to_be_bytes());
    message(b'B', &body)
}

fn decode(criterion: &mut Criterion) {
    let sql = "SELECT id, total FROM orders WHERE user_id = $1 AND status = $2 ORDER BY id LIMIT $3";
    let parse = message(b'P', format!("statement_1\0{sql}\0\0\0").as_bytes());
    let bind = bind();
    let execute = message(b'E', b"\0\0\0\0\0");
    let mut group = criterion.benchmark_group("decode");
    group.bench_function("Parse", |bencher| bencher.iter(|| Parse::decode(black_box(&parse)).is_ok()));
    group.bench_function("Bind", |bencher| {
        bencher.iter(|| {
            let bind = Bind::decode(black_box(&bind)).expect("it is whole");
            bind.values().filter(|value| *value != BindValue::Null).count()
        });
    });
    group.bench_function("Execute", |bencher| bencher.iter(|| Execute::decode(black_box(&execute)).is_ok()));
    group.finish();
}

criterion_group!(benches, scan, decode);
criterion_main!(benches);
