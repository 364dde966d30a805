//! The tasks of one thread. In: futures, and who was woken, by this thread or by others. Out: polls. A task that panics
//! ends, and no other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::source::Watch;

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// What those know of a task who wake it.
struct Header {
    number: u32,
    /// See [`Tasks::home`].
    home: usize,
    watch: Arc<Watch>,
    /// It will be polled, or is no more.
    is_woken: AtomicBool,
}

struct Task {
    work: Work,
    header: Arc<Header>,
    waker: Waker,
}

pub(super) struct Tasks {
    all: Vec<Option<Task>>,
    free: Vec<u32>,
    watch: Arc<Watch>,
    /// Tells threads apart; never used twice.
    home: usize,
    is_done: Rc<Cell<bool>>,
}

thread_local! {
    /// [`Tasks::home`] of this thread; 0 where there is none.
    static HOME: Cell<usize> = const { Cell::new(0) };
    /// Who is to be polled.
    static WOKEN: RefCell<VecDeque<u32>> = const { RefCell::new(VecDeque::new()) };
    static SPAWNED: RefCell<Vec<Work>> = const { RefCell::new(Vec::new()) };
}

/// Has this thread's reactor poll it to its end.
///
/// # Panics
/// On threads that have none.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    assert_ne!(HOME.get(), 0, "tasks are spawned on threads that run a reactor");
    SPAWNED.with_borrow_mut(|spawned| spawned.push(Box::pin(work)));
}

impl Wake for Header {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    #[inline]
    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            return;
        }
        if HOME.get() == self.home {
            WOKEN.with_borrow_mut(|woken| woken.push_back(self.number));
        } else {
            self.watch.call(self.number);
        }
    }
}

impl Tasks {
    pub fn begin(watch: &Arc<Watch>, main: impl Future<Output = ()> + 'static) -> Self {
        static HOMES: AtomicUsize = AtomicUsize::new(1);
        let is_done = Rc::new(Cell::new(false));
        let ends = Ends(Rc::clone(&is_done));
        let tasks = Self {
            all: Vec::new(),
            free: Vec::new(),
            watch: Arc::clone(watch),
            home: HOMES.fetch_add(1, Ordering::Relaxed),
            is_done,
        };
        Watch::enter(Some(Arc::clone(watch)));
        HOME.set(tasks.home);
        spawn(async move {
            let _ends = ends;
            main.await;
        });
        tasks
    }

    pub fn is_done(&self) -> bool {
        self.is_done.get()
    }

    #[inline]
    pub fn has_work(&self) -> bool {
        WOKEN.with_borrow(|woken| !woken.is_empty())
            || self.watch.is_called.load(Ordering::Acquire)
            || SPAWNED.with_borrow(|spawned| !spawned.is_empty())
    }

    /// Polls those who were woken, so many at most.
    #[inline]
    pub fn run(&mut self, polls_max: usize) {
        if self.watch.is_called.load(Ordering::Acquire) {
            let called = self.watch.take_called();
            WOKEN.with_borrow_mut(|woken| woken.extend(called));
        }
        for _ in 0..polls_max {
            self.take_spawned();
            let Some(number) = WOKEN.with_borrow_mut(VecDeque::pop_front) else { return };
            self.poll(number);
        }
    }

    #[inline]
    fn poll(&mut self, number: u32) {
        let Some(task) = self.all.get_mut(number as usize).and_then(Option::as_mut) else { return };
        // Before it is polled: who wakes it from now on may have something that it doesn't see.
        task.header.is_woken.swap(false, Ordering::AcqRel);
        let Task { work, waker, .. } = task;
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(waker))));
        // What there is to say of a panic, the hook for panics has said.
        if !polled.is_ok_and(|polled| polled.is_pending()) {
            self.remove(number);
        }
    }

    #[cold]
    fn remove(&mut self, number: u32) {
        let Some(task) = self.all.get_mut(number as usize).and_then(Option::take) else { return };
        // Nobody wakes whoever gets the place in its stead.
        task.header.is_woken.store(true, Ordering::Release);
        self.free.push(number);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
    }

    #[inline]
    fn take_spawned(&mut self) {
        while let Some(work) = SPAWNED.with_borrow_mut(Vec::pop) {
            self.add(work);
        }
    }

    fn add(&mut self, work: Work) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            u32::try_from(self.all.len() - 1).expect("no process has so many clients")
        });
        let watch = Arc::clone(&self.watch);
        let header = Arc::new(Header { number, home: self.home, watch, is_woken: AtomicBool::new(true) });
        let waker = Waker::from(Arc::clone(&header));
        let place = self.all.get_mut(number as usize).expect("free places exist, and new ones were made");
        *place = Some(Task { work, header, waker });
        WOKEN.with_borrow_mut(|woken| woken.push_back(number));
    }

    /// Drops all that are left.
    pub fn end(mut self) {
        self.take_spawned();
        for number in 0..u32::try_from(self.all.len()).unwrap_or(u32::MAX) {
            self.remove(number);
        }
        HOME.set(0);
        SPAWNED.take();
        WOKEN.take();
        Watch::enter(None);
    }
}

/// Whether it returns or panics.
struct Ends(Rc<Cell<bool>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set(true);
    }
}
