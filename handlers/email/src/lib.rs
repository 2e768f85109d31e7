//! The e-mail: writes the confirmation of an order and logs that it would send it.
//!
//! There is no mail server here. The log gets the subject and the size, not the recipient or the letter: what
//! customers typed is theirs.

mod letter;

use sdk::Log;
use shop::{Email, EmailFault, Order};

sdk::handler! { path: "../wit", world: "email", contract: shop, handler: Desk(World) }

/// The desk where letters are written.
pub struct Desk<W>(pub W);

impl<W: Log> Email for Desk<W> {
    fn send_confirmation(&self, recipient: String, order: Order) -> Result<(), EmailFault> {
        check(&recipient)?;
        let letter = letter::confirmation(&order);
        let (subject, size) = (letter.subject, letter.text.len());
        self.0.info(&format!(
            "would send \"{subject}\" ({size} bytes) to the customer of {}",
            order.order_id
        ));
        Ok(())
    }
}

fn check(recipient: &str) -> Result<(), EmailFault> {
    let (local, domain) = recipient.split_once('@').unwrap_or_default();
    let plausible = !local.is_empty()
        && domain.split('.').count() > 1
        && domain.split('.').all(|label| !label.is_empty())
        && !domain.contains('@')
        && !recipient.contains(|c: char| c.is_whitespace() || c.is_control());
    if plausible {
        Ok(())
    } else {
        Err(EmailFault::InvalidRecipient(
            "this is not an e-mail address".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use sdk::fake::Lines;

    use super::*;

    #[test]
    fn letter_is_logged_without_the_recipient() {
        let desk = Desk(Lines::default());
        let order = letter::tests::order();
        assert_eq!(desk.send_confirmation("ada@fern.example".into(), order), Ok(()));
        let lines = desk.0.all();
        let [line] = lines.as_slice() else {
            panic!("one line: {lines:?}")
        };
        assert!(
            line.starts_with("info would send \"Your order ORD-1 is on its way\""),
            "{line}"
        );
        assert!(!line.contains("ada"), "{line}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "ada",
            "ada@",
            "@fern.example",
            "ada@fern",
            "a b@fern.example",
            "a@b@c.example",
            "a@b..c",
        ] {
            let answer = Desk(Lines::default()).send_confirmation(bad.into(), letter::tests::order());
            assert!(matches!(answer, Err(EmailFault::InvalidRecipient(_))), "{bad}");
        }
    }
}
