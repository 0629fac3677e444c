//! The thread pool: ours, started at first use, and a new one in a forked child.

#[cfg(feature = "parallel")]
mod pool {
    use std::sync::{
        OnceLock,
        atomic::{AtomicPtr, AtomicUsize, Ordering},
    };

    use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};

    use crate::once::once;

    /// Threads to use: `PENSTOCK_NUM_THREADS`, else `RAYON_NUM_THREADS`, else one for each processor.
    pub fn count() -> usize {
        static COUNT: OnceLock<usize> = OnceLock::new();
        *once(&COUNT, || {
            let variable = |name| std::env::var(name).ok()?.parse::<usize>().ok().filter(|&count| count > 0);
            variable("PENSTOCK_NUM_THREADS")
                .or_else(|| variable("RAYON_NUM_THREADS"))
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        })
    }

    /// A pool and the process that started it.
    struct Owned {
        pool: ThreadPool,
        process: u32,
    }

    /// The pool of this process; none when no thread could be started.
    ///
    /// A forked child has the parent's pool without its threads, and waiting on it would never end. It is left alone (its
    /// locks may be held by threads that are gone) and another one is started. No lock here, for the same reason.
    fn pool() -> Option<&'static ThreadPool> {
        static CURRENT: AtomicPtr<Owned> = AtomicPtr::new(std::ptr::null_mut());
        let process = std::process::id();
        let current = crate::kernels::shared(&CURRENT);
        if let Some(owned) = current.filter(|owned| owned.process == process) {
            return Some(&owned.pool);
        }
        let builder = ThreadPoolBuilder::new().num_threads(count()).thread_name(|i| format!("penstock-{i}"));
        let fresh = Box::leak(Box::new(Owned { pool: builder.build().ok()?, process }));
        let before = current.map_or(std::ptr::null_mut(), |owned| std::ptr::from_ref(owned).cast_mut());
        match CURRENT.compare_exchange(before, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(&fresh.pool),
            // Another thread was faster: its pool serves all; ours idles until the process ends.
            Err(_) => crate::kernels::shared(&CURRENT).map(|owned| &owned.pool),
        }
    }

    /// `f` of every item, in order, over the pool.
    pub fn map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
        match pool() {
            Some(pool) if items.len() > 1 && count() > 1 => {
                pool.install(|| items.par_iter().with_max_len(1).map(f).collect())
            }
            _ => items.iter().map(f).collect(),
        }
    }

    /// `f` of every number below `len`, over the caller's thread and the pool; each begins after those before it have begun.
    pub fn in_order(len: usize, f: impl Fn(usize) + Sync + Send) {
        let next = AtomicUsize::new(0);
        let numbers = || std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let work = || numbers().take_while(|&i| i < len).for_each(&f);
        match pool() {
            Some(pool) if len > 1 && count() > 1 => pool.in_place_scope(|scope| {
                for _ in 1..count().min(len) {
                    scope.spawn(|_| work());
                }
                work();
            }),
            _ => work(),
        }
    }

    /// `f` of every item over the pool, for items that hold what they write into.
    pub fn for_each<T: Send>(items: Vec<T>, f: impl Fn(T) + Sync + Send) {
        match pool() {
            Some(pool) if items.len() > 1 && count() > 1 => {
                pool.install(|| items.into_par_iter().with_max_len(1).for_each(f));
            }
            _ => items.into_iter().for_each(f),
        }
    }
}

#[cfg(not(feature = "parallel"))]
mod pool {
    /// One.
    pub fn count() -> usize {
        1
    }

    /// `f` of every item, in order.
    pub fn map<T, R>(items: &[T], f: impl Fn(&T) -> R) -> Vec<R> {
        items.iter().map(f).collect()
    }

    /// `f` of every number below `len`.
    pub fn in_order(len: usize, f: impl Fn(usize)) {
        (0..len).for_each(f);
    }

    /// `f` of every item.
    pub fn for_each<T>(items: Vec<T>, f: impl Fn(T)) {
        items.into_iter().for_each(f);
    }
}

pub use pool::{count, for_each, in_order, map};
