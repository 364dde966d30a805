//! Sockets that a thread watches, and who waits for them. In: what the system says has become ready. Out: readiness,
//! asked without a system call, and tasks woken. The system tells of a change once; what it told is kept here until
//! whoever reads or writes has found nothing more.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Registry, Token};
use parking_lot::Mutex;

const READABLE: u32 = 1;
const WRITABLE: u32 = 1 << 1;
/// The other side sends no more; that is for good.
const READ_CLOSED: u32 = 1 << 2;
/// Nothing can be sent any more.
const WRITE_CLOSED: u32 = 1 << 3;
/// Somebody waits.
const READER: u32 = 1 << 4;
const WRITER: u32 = 1 << 5;
/// The rest of the word counts what the system has told, so that "nothing more" is only believed of what was known
/// when it was tried.
const TOLD: u32 = 1 << 6;
const FLAGS: u32 = TOLD - 1;

const WAKE: Token = Token(usize::MAX);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Read,
    Write,
}

impl Direction {
    fn ready(self) -> u32 {
        match self {
            Self::Read => READABLE | READ_CLOSED,
            Self::Write => WRITABLE | WRITE_CLOSED,
        }
    }

    /// What ends when a socket has, or takes, nothing more.
    fn passing(self) -> u32 {
        match self {
            Self::Read => READABLE,
            Self::Write => WRITABLE,
        }
    }

    fn waits(self) -> u32 {
        match self {
            Self::Read => READER,
            Self::Write => WRITER,
        }
    }
}

/// What was known of a socket when it was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Seen(u32);

impl Seen {
    #[inline]
    pub fn is_ready(self, direction: Direction) -> bool {
        self.0 & direction.ready() != 0
    }
}

#[derive(Debug, Default)]
struct Source {
    state: AtomicU32,
    wakers: Mutex<Wakers>,
}

/// They stay here when they were woken: mostly the same ones wait again.
#[derive(Debug, Default)]
struct Wakers {
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wakers {
    fn of(&mut self, direction: Direction) -> &mut Option<Waker> {
        match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        }
    }
}

impl Source {
    /// The system has told of these.
    fn tell(&self, ready: u32) {
        let add = |old: u32| {
            let woken = [Direction::Read, Direction::Write].into_iter().filter(|way| ready & way.ready() != 0);
            let waits = woken.fold(0, |all, way| all | way.waits());
            Some((old & !FLAGS).wrapping_add(TOLD) | (old & FLAGS & !waits) | ready)
        };
        let Ok(old) = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, add) else { return };
        for way in [Direction::Read, Direction::Write] {
            if ready & way.ready() != 0
                && old & way.waits() != 0
                && let Some(waker) = self.wakers.lock().of(way)
            {
                waker.wake_by_ref();
            }
        }
    }

    fn clear(&self, direction: Direction, seen: Seen) {
        let clear = |now: u32| (now & !FLAGS == seen.0 & !FLAGS).then_some(now & !direction.passing());
        // Whatever was told since then is found out by the next try.
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, clear);
    }

    fn wait(&self, direction: Direction, cx: &Context<'_>) -> Poll<()> {
        let mut wakers = self.wakers.lock();
        let waker = wakers.of(direction);
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        let wait = |now: u32| (now & direction.ready() == 0).then_some(now | direction.waits());
        match self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, wait) {
            Ok(_) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        }
    }
}

/// All that a thread watches, and the way to wake it.
#[derive(Debug)]
pub(super) struct Watch {
    registry: Registry,
    waker: mio::Waker,
    sources: Mutex<Sources>,
    /// Tasks of its own that other threads have woken.
    woken: Mutex<Vec<u32>>,
    /// They have since it looked last.
    pub is_called: AtomicBool,
}

/// A place is used again, by another generation: what the system told before that isn't for the new one.
#[derive(Debug, Default)]
struct Sources {
    places: Vec<(usize, Option<Arc<Source>>)>,
    free: Vec<usize>,
}

thread_local! {
    /// Of the reactor that runs on this thread.
    static HERE: RefCell<Option<Arc<Watch>>> = const { RefCell::new(None) };
}

impl Watch {
    pub fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self {
            waker: mio::Waker::new(registry, WAKE)?,
            registry: registry.try_clone()?,
            sources: Mutex::default(),
            woken: Mutex::default(),
            is_called: AtomicBool::new(false),
        })
    }

    /// From now on, or no longer, this thread's.
    pub fn enter(watch: Option<Arc<Self>>) {
        HERE.set(watch);
    }

    pub fn tell(&self, events: &Events) {
        let sources = self.sources.lock();
        for event in events {
            if let Some(source) = sources.find(event.token()) {
                source.tell(readiness(event));
            }
        }
    }

    /// From another thread.
    pub fn call(&self, task: u32) {
        self.woken.lock().push(task);
        if !self.is_called.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a worker could not be woken");
        }
    }

    /// Whom other threads have woken.
    pub fn take_called(&self) -> Vec<u32> {
        // First, so that what comes from now on wakes the thread again.
        self.is_called.swap(false, Ordering::AcqRel);
        std::mem::take(&mut *self.woken.lock())
    }
}

impl Sources {
    fn add(&mut self, source: &Arc<Source>) -> Token {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() - 1
        });
        let place = self.places.get_mut(number).expect("free places exist, and new ones were made");
        place.1 = Some(Arc::clone(source));
        Token(place.0 << HALF | number)
    }

    fn find(&self, token: Token) -> Option<&Arc<Source>> {
        let (generation, number) = parts(token);
        self.places.get(number).filter(|place| place.0 == generation)?.1.as_ref()
    }

    fn remove(&mut self, token: Token) {
        let (generation, number) = parts(token);
        let Some(place) = self.places.get_mut(number).filter(|place| place.0 == generation) else { return };
        *place = ((generation + 1) & GENERATION_MAX, None);
        self.free.push(number);
    }
}

const HALF: u32 = usize::BITS / 2;
/// Half of what there is room for: [`WAKE`] is no socket's.
const GENERATION_MAX: usize = usize::MAX >> (HALF + 1);

fn parts(Token(token): Token) -> (usize, usize) {
    (token >> HALF, token & (usize::MAX >> HALF))
}

fn readiness(event: &Event) -> u32 {
    let mut ready = 0;
    if event.is_readable() {
        ready |= READABLE;
    }
    if event.is_writable() {
        ready |= WRITABLE;
    }
    if event.is_read_closed() {
        ready |= READ_CLOSED;
    }
    if event.is_write_closed() {
        ready |= WRITE_CLOSED;
    }
    if event.is_error() {
        // Whoever tries next is told which.
        ready |= READABLE | WRITABLE;
    }
    ready
}

/// A socket that a reactor watches, until this is dropped; the socket must be open until then.
#[derive(Debug)]
pub struct Registration {
    source: Arc<Source>,
    watch: Arc<Watch>,
    token: Token,
    fd: RawFd,
}

/// Has this thread's reactor watch the socket; `None` where there is none.
///
/// # Errors
/// Those of the system.
pub fn register(socket: &impl AsRawFd) -> Option<io::Result<Registration>> {
    let watch = HERE.with_borrow(Clone::clone)?;
    let fd = socket.as_raw_fd();
    let source = Arc::<Source>::default();
    let token = watch.sources.lock().add(&source);
    let registered = watch.registry.register(&mut SourceFd(&fd), token, Interest::READABLE | Interest::WRITABLE);
    Some(match registered {
        Ok(()) => Ok(Registration { source, watch, token, fd }),
        Err(error) => {
            watch.sources.lock().remove(token);
            Err(error)
        }
    })
}

impl Registration {
    #[inline]
    pub fn look(&self) -> Seen {
        Seen(self.source.state.load(Ordering::Acquire))
    }

    /// The socket had, or took, nothing more when it was tried after that look.
    #[inline]
    pub fn clear(&self, direction: Direction, seen: Seen) {
        self.source.clear(direction, seen);
    }

    /// Ready when it is worth a try; else the task is woken when it may be. One for each direction.
    #[inline]
    pub fn poll_ready(&self, direction: Direction, cx: &Context<'_>) -> Poll<()> {
        if self.look().is_ready(direction) { Poll::Ready(()) } else { self.source.wait(direction, cx) }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Err(error) = self.watch.registry.deregister(&mut SourceFd(&self.fd)) {
            tracing::debug!(%error, "a socket was not watched any more");
        }
        self.watch.sources.lock().remove(self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_but_old_tokens_aren_t_good_for_them() {
        let mut sources = Sources::default();
        let (one, other) = (Arc::<Source>::default(), Arc::<Source>::default());
        let first = sources.add(&one);
        sources.remove(first);
        let second = sources.add(&other);
        assert_eq!(parts(first).1, parts(second).1);
        assert!(sources.find(first).is_none());
        assert!(sources.find(second).is_some_and(|found| Arc::ptr_eq(found, &other)));
        sources.remove(first);
        assert!(sources.find(second).is_some());
        assert_ne!(second, WAKE);
    }

    #[test]
    fn what_is_told_between_a_look_and_its_end_isn_t_lost() {
        let source = Source::default();
        source.tell(READABLE);
        let seen = Seen(source.state.load(Ordering::Acquire));
        assert!(seen.is_ready(Direction::Read) && !seen.is_ready(Direction::Write));
        source.tell(READABLE);
        source.clear(Direction::Read, seen);
        let seen = Seen(source.state.load(Ordering::Acquire));
        assert!(seen.is_ready(Direction::Read));
        source.clear(Direction::Read, seen);
        assert!(!Seen(source.state.load(Ordering::Acquire)).is_ready(Direction::Read));
    }

    #[test]
    fn an_end_is_for_good() {
        let source = Source::default();
        source.tell(READABLE | READ_CLOSED);
        let seen = Seen(source.state.load(Ordering::Acquire));
        source.clear(Direction::Read, seen);
        assert!(Seen(source.state.load(Ordering::Acquire)).is_ready(Direction::Read));
    }
}
