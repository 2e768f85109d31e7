//! The tour's nine steps: what each teaches, what its button does, and where to look afterwards. Words alone; what is done
//! is in `app/pages/learn`, against the running system.

/// How many steps there are.
pub const STEPS_MAX: u8 = 9;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is learned, as a title.
    pub title: &'static str,
    /// The idea, in paragraphs.
    pub words: &'static [&'static str],
    /// What the button says.
    pub action: &'static str,
    /// What to look at once it has been done.
    pub look: &'static str,
    /// Whether it changes the placement, so that there is something to undo.
    pub moves: bool,
    /// Handlers that it needs.
    pub needs: &'static [&'static str],
}

const ASKING: &[&str] = &["recommendation", "catalog"];
const BUYING: &[&str] = &[
    "catalog", "cart", "checkout", "currency", "payment", "shipping", "email",
];

/// The steps in their order.
pub const STEPS: [Step; STEPS_MAX as usize] = [
    Step {
        title: "A call takes nine steps",
        words: &[
            "A remote procedure call looks like a call and is none. The arguments leave the caller's memory, are packed, sent, \
             received and unpacked; a function runs; then all of it happens again on the way back.",
            "Textbooks draw this with a client stub and a server stub. Here each of the nine steps is measured, in \
             nanoseconds, on a call that the recommendation makes to the catalog.",
        ],
        action: "Make the call",
        look: "The steps add up to what the caller waited. Nothing else is hidden in between.",
        moves: false,
        needs: ASKING,
    },
    Step {
        title: "Together or apart: the same call",
        words: &[
            "In a monolith caller and callee share a process, as microservices each has its own. The code here is the same for \
             both: where a handler runs is one line of configuration.",
            "The button puts all handlers together, calls, then gives each its own process, and calls again.",
        ],
        action: "Call together, then apart",
        look: "Apart, steps 3 and 8 appear: the network. The function itself runs as long as before.",
        moves: true,
        needs: ASKING,
    },
    Step {
        title: "Split one service off",
        words: &[
            "Splitting a system is rarely all or nothing. One module that changes often, or needs more room, goes first.",
            "The button moves the catalog alone into a process of its own, while everything else stays where it is. No call \
             fails meanwhile: the new process is ready before the old one stops.",
        ],
        action: "Split the catalog off",
        look: "One edge now crosses between processes. On the map it is dashed.",
        moves: true,
        needs: ASKING,
    },
    Step {
        title: "Kill a service",
        words: &[
            "A call within a process cannot lose its callee. A call between processes can, at any moment, and the caller \
             must know what to do then.",
            "The button splits the catalog off and kills its process, as a crash would. Calls fail until it is back; nobody \
             else dies with it, and it is started again by itself.",
        ],
        action: "Kill the catalog",
        look: "How long the calls failed is the price of the crash. Together, the whole shop would have gone down.",
        moves: true,
        needs: ASKING,
    },
    Step {
        title: "A queue shaves a peak",
        words: &[
            "When the caller needs no answer, a queue lets it go on at once: the message is on disk, the work is done later, \
             at the pace of the worker.",
            "The button slows the way to the e-mail handler down and buys twenty things at once. The letters pile up; the \
             buyers do not wait for them.",
        ],
        action: "Buy twenty things",
        look: "The line is the depth of the queue. The peak is stored, not suffered.",
        moves: true,
        needs: BUYING,
    },
    Step {
        title: "Try again, then give up",
        words: &[
            "What fails may work a moment later, so a message is tried again, after a growing pause. What never works must not \
             be tried for ever: after its last try the message is dead, and waits for a person.",
            "The button buys something for an address that no letter can be sent to.",
        ],
        action: "Send to nowhere",
        look: "The order went through all the same. The dead letter keeps its arguments and its last error, and can be retried.",
        moves: false,
        needs: BUYING,
    },
    Step {
        title: "Follow a request through a queue",
        words: &[
            "A trace follows one request through all it causes. With a queue in between the request ends before its work does: \
             the two halves are two traces, joined by a link.",
            "The button buys something and waits until the letter was written.",
        ],
        action: "Buy and follow it",
        look: "The wait between the halves belongs to nobody's code. A trace without links would not show it.",
        moves: false,
        needs: BUYING,
    },
    Step {
        title: "Distance is a parameter",
        words: &[
            "Two processes on one machine are close. Two machines in one room are further, two continents far. Distance \
             is added to every call that crosses, in both directions.",
            "The button gives the edge from the recommendation to the catalog 20 ms each way, and calls again.",
        ],
        action: "Add 20 ms",
        look: "Only the travel grew, by twice the delay. A chain of such calls adds them all up.",
        moves: true,
        needs: ASKING,
    },
    Step {
        title: "The bill of a split",
        words: &[
            "What did splitting cost? Of each call the callee's own work would be there anyway. The rest, packing, travelling \
             and unpacking, is the bill of the edge.",
            "The button buys something with every handler apart, and adds up what of the request was work and what was the \
             way.",
        ],
        action: "Add up the bill",
        look: "The edges with the largest share are the ones to join first, or to ask less often.",
        moves: true,
        needs: BUYING,
    },
];

/// A step by its number, from 1.
pub fn step(number: u8) -> Option<&'static Step> {
    STEPS.get(usize::from(number.checked_sub(1)?))
}

/// The steps that were done, as they are stored: `1,2,5`.
pub fn read_done(text: &str) -> Vec<u8> {
    let mut done: Vec<u8> = text
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .filter(|number| step(*number).is_some())
        .collect();
    done.sort_unstable();
    done.dedup();
    done
}

/// The steps that were done, to be stored.
pub fn write_done(done: &[u8]) -> String {
    let texts: Vec<String> = done.iter().map(u8::to_string).collect();
    texts.join(",")
}

/// Where to go on: the first step that was not done, else the first.
pub fn next_open(done: &[u8]) -> u8 {
    (1..=STEPS_MAX).find(|number| !done.contains(number)).unwrap_or(1)
}

/// Which of the handlers that a step needs are not among these.
pub fn missing(step: &Step, present: impl Fn(&str) -> bool) -> Vec<&str> {
    step.needs.iter().copied().filter(|name| !present(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_short_and_say_what_to_look_at() {
        for (index, step) in STEPS.iter().enumerate() {
            let words: usize = step
                .words
                .iter()
                .map(|text| text.split_whitespace().count())
                .sum();
            assert!((30..=90).contains(&words), "step {} has {words} words", index + 1);
            assert!(
                step.title.len() <= 40 && step.action.len() <= 30,
                "step {}",
                index + 1
            );
            assert!(
                step.look.ends_with('.') && !step.needs.is_empty(),
                "step {}",
                index + 1
            );
        }
        assert_eq!(step(0), None);
        assert_eq!(step(1).unwrap().title, "A call takes nine steps");
        assert_eq!(step(10), None);
    }

    #[test]
    fn progress_survives_what_somebody_stored() {
        for (text, done) in [("", vec![]), ("3,1,3", vec![1, 3]), ("0,10,x,-1, 2", vec![2])] {
            assert_eq!(read_done(text), done, "{text}");
        }
        assert_eq!(write_done(&[1, 2, 9]), "1,2,9");
        assert_eq!(next_open(&[1, 2, 4]), 3);
        assert_eq!(next_open(&(1..=9).collect::<Vec<_>>()), 1);
    }

    #[test]
    fn what_a_step_lacks_is_named() {
        let step = step(1).unwrap();
        assert_eq!(missing(step, |name| name == "catalog"), ["recommendation"]);
        assert!(missing(step, |_| true).is_empty());
    }
}
