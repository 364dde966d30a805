//! PostgreSQL's own hash of a key and the bucket it falls into, so that a server can compute both:
//! `((hashint8extended(k, 8816678312871386365) & 4095) + 2275) & 4095`, with hashtextextended or uuid_hash_extended
//! for those types. It equals `satisfies_hash_partition(..., 4096, bucket, k)`.
//!
//! The hash is Bob Jenkins' lookup3 with a 64-bit seed (PostgreSQL's common/hashfn.c), the same on
//! machines of either byte order. Text is hashed by its bytes, which is what PostgreSQL does under every deterministic
//! collation; the server's encoding has to be UTF-8.

use crate::types::{Bucket, KeyValue};

/// HASH_PARTITION_SEED of PostgreSQL's partition.h.
const SEED: u64 = 8_816_678_312_871_386_365;

/// What hash_combine64(0, h) adds to a one-column partition key's hash, modulo the number of buckets.
const SHIFT: u64 = 2275;

/// The initial state for a key of no bytes.
const START: u32 = 0x9e37_79b9_u32.wrapping_add(3_923_095);

/// The bucket of a key; `None` for the types that have no hash placement.
pub fn bucket(key: &KeyValue) -> Option<Bucket> {
    let hash = match key {
        KeyValue::Int(number) => hash_int(*number),
        KeyValue::Text(text) => hash_bytes(text.as_bytes()),
        KeyValue::Uuid(bytes) => hash_bytes(bytes),
        KeyValue::Date(_) | KeyValue::Timestamp(_) | KeyValue::TimestampTz(_) | KeyValue::Numeric(_) => return None,
    };
    let slots = u64::from(Bucket::COUNT);
    let number = ((hash % slots) + SHIFT) % slots;
    u16::try_from(number).ok().and_then(Bucket::new)
}

/// hashint8extended, which folds the high half in so that int2 and int4 hash alike.
fn hash_int(number: i64) -> u64 {
    let bits = number.cast_unsigned();
    let high = (bits >> 32) as u32;
    let low = bits as u32 ^ if number >= 0 { high } else { !high };
    let mut state = State::seeded(4);
    state.a = state.a.wrapping_add(low);
    state.finish()
}

/// hash_bytes_extended.
fn hash_bytes(bytes: &[u8]) -> u64 {
    // PostgreSQL's length is 32 bits wide; no text is longer than 1 GiB.
    let mut state = State::seeded(bytes.len() as u32);
    let mut blocks = bytes.chunks_exact(12);
    for block in &mut blocks {
        state.add(block);
        state.mix();
    }
    // The lowest byte of c is kept for the length, so the last bytes move up by one there.
    let mut last = [0; 12];
    for (position, byte) in blocks.remainder().iter().enumerate() {
        let place = if position < 8 { position } else { position + 1 };
        if let Some(slot) = last.get_mut(place) {
            *slot = *byte;
        }
    }
    state.add(&last);
    state.finish()
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn seeded(length: u32) -> Self {
        let start = START.wrapping_add(length);
        let (high, low) = ((SEED >> 32) as u32, SEED as u32);
        let mut state = Self { a: start.wrapping_add(high), b: start.wrapping_add(low), c: start };
        state.mix();
        state
    }

    /// Adds twelve bytes, in little-endian order.
    fn add(&mut self, block: &[u8]) {
        let mut words = block
            .chunks_exact(4)
            .map(|word| word.iter().rev().fold(0_u32, |number, &byte| number << 8 | u32::from(byte)));
        self.a = self.a.wrapping_add(words.next().unwrap_or(0));
        self.b = self.b.wrapping_add(words.next().unwrap_or(0));
        self.c = self.c.wrapping_add(words.next().unwrap_or(0));
    }

    fn mix(&mut self) {
        let Self { mut a, mut b, mut c } = *self;
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        *self = Self { a, b, c };
    }

    fn finish(self) -> u64 {
        let Self { mut a, mut b, mut c } = self;
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        c = (c ^ b).wrapping_sub(b.rotate_left(24));
        u64::from(b) << 32 | u64::from(c)
    }
}

#[cfg(test)]
mod tests;
