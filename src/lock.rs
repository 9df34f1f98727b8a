//! The way to what is behind a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is behind a mutex, even if somebody panicked while holding it: whatever we
/// keep in one is changed in one step and never half.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
