//! Newtypes for what is numbered. None of them has arithmetic or a `Default`: a forgotten choice
//! must not become "shard 0" or "all shards".

use std::fmt;

/// A shard, by its position in the configuration file's order of that database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardId(u16);

impl ShardId {
    pub const fn new(position: u16) -> Self {
        Self(position)
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Stands for a connection to the scratch database, which is no shard: the highest numbers, which no
    /// configuration reaches.
    pub const fn scratch(number: u16) -> Self {
        Self(u16::MAX - number % Self::SCRATCHES)
    }

    /// If it was made by [`ShardId::scratch`].
    pub const fn is_scratch(self) -> bool {
        self.0 > u16::MAX - Self::SCRATCHES
    }

    const SCRATCHES: u16 = 1024;
}

/// One server, numbered over all databases of a configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(u32);

impl NodeId {
    pub const fn new(position: u32) -> Self {
        Self(position)
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One of the 4,096 hash slots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bucket(u16);

impl Bucket {
    /// How many hash slots there are; a power of two, as PostgreSQL's hash partitioning divides.
    pub const COUNT: u16 = 4096;

    /// `None` when `number` is not below [`Bucket::COUNT`].
    pub const fn new(number: u16) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A non-empty set of shards in ascending order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ShardSet(Vec<ShardId>);

impl ShardSet {
    pub fn one(shard: ShardId) -> Self {
        Self(vec![shard])
    }

    /// Sorts and removes duplicates; `None` when there is no shard at all.
    pub fn from_shards(shards: impl IntoIterator<Item = ShardId>) -> Option<Self> {
        let mut all: Vec<ShardId> = shards.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() { None } else { Some(Self(all)) }
    }

    pub fn as_slice(&self) -> &[ShardId] {
        &self.0
    }

    /// The shard when there is exactly one.
    pub fn single(&self) -> Option<ShardId> {
        match self.0.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
