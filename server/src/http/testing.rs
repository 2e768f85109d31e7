//! A fake home for tests.
