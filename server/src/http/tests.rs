//! The UI's port over a fake home.
