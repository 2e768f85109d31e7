//! What the tests stand on: a real home with its children, clients for its doors, and waiting without sleeping.
//!
//! Promises: every wait has a watchdog and says what it waited for; a home and its children end with the test, however
//! it ends; what home said is printed when a test fails.

mod client;
mod command;
mod components;
mod events;
mod home;
mod process;
mod slots;
mod visitor;
mod wait;

pub(crate) use client::{Answer, Client, Req};
pub(crate) use command::{Ran, cleave, cleave_in};
pub(crate) use components::{SHOP, component, read_component, trapping_email};
pub(crate) use events::Events;
pub(crate) use home::{Home, HomeBuilder, RULES};
pub(crate) use process::{children_of, is_alive, send_signal};
pub(crate) use visitor::{Visitor, between, card_form};
pub(crate) use wait::{WATCHDOG, wait_for};
