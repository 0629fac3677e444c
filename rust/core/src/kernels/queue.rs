//! A few dozen numbers of which the least is asked for again and again.

use super::Isa;
#[cfg(target_arch = "x86_64")]
use super::x86_64;

/// Lanes of numbers, all of them `u32::MAX` at first.
pub trait MinQueue {
    /// Sets all lanes; those that the queue does not have are left out.
    fn fill(&mut self, values: &[u32; 64]);
    /// Sets one lane.
    fn set(&mut self, lane: usize, value: u32);
    /// The least number.
    fn min(&self) -> u32;
}

/// Work on a queue, generic over what the machine has.
pub trait QueueTask {
    /// What the work gives.
    type Output;
    /// Does the work.
    fn run<Q: MinQueue>(self, queue: Q) -> Self::Output;
}

/// Runs `task` on a queue of at least `lanes` lanes, 64 at most.
#[inline(always)]
pub fn with_queue<T: QueueTask>(isa: Isa, lanes: usize, task: T) -> T::Output {
    debug_assert!(lanes <= 64);
    match isa {
        // SAFETY: `isa()` and the tests hand out a set only after `is_available` said yes.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe {
            match lanes {
                0..=16 => x86_64::run_queue::<1, T>(task),
                17..=32 => x86_64::run_queue::<2, T>(task),
                _ => x86_64::run_queue::<4, T>(task),
            }
        },
        _ if lanes <= 16 => task.run(Array([u32::MAX; 16])),
        _ => task.run(Array([u32::MAX; 64])),
    }
}

/// The portable queue.
struct Array<const N: usize>([u32; N]);

impl<const N: usize> MinQueue for Array<N> {
    #[inline(always)]
    fn fill(&mut self, values: &[u32; 64]) {
        self.0.copy_from_slice(&values[..N]);
    }
    #[inline(always)]
    fn set(&mut self, lane: usize, value: u32) {
        self.0[lane % N] = value;
    }
    #[inline(always)]
    fn min(&self) -> u32 {
        self.0.iter().fold(u32::MAX, |least, &value| least.min(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sets lanes one after the other and notes the minimum each time.
    struct Script<'s>(&'s [(usize, u32)]);

    impl QueueTask for Script<'_> {
        type Output = Vec<u32>;
        fn run<Q: MinQueue>(self, mut queue: Q) -> Vec<u32> {
            let mut values = [u32::MAX; 64];
            values[0] = 7;
            queue.fill(&values);
            let mut least = vec![queue.min()];
            for &(lane, value) in self.0 {
                queue.set(lane, value);
                least.push(queue.min());
            }
            least
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_finds_the_least(
            lanes in 1..65usize,
            script in prop::collection::vec((0..64usize, any::<u32>()), 1..100),
        ) {
            let script: Vec<_> = script.into_iter().map(|(lane, value)| (lane % lanes, value)).collect();
            let expected = with_queue(Isa::Scalar, lanes, Script(&script));
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                prop_assert_eq!(with_queue(isa, lanes, Script(&script)), expected.clone());
            }
        }
    }
}
