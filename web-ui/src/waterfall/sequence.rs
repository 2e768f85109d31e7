//! The sequence of a trace, as in a textbook: lifelines, and the calls between them in the order in which they happen.
//!
//! Promises: lifelines stand in the order of their first call, those of one node beside each other; a drawing has at
//! most as many calls as it is given, and says how many it leaves out; a reply is drawn where it comes.

use super::windows::Told;

/// Who calls and is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifeline {
    /// The handler.
    pub handler: String,
    /// Its node.
    pub node: String,
}

/// A call or its reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its number; a reply has its call's.
    pub number: usize,
    /// Whether it is the reply.
    pub reply: bool,
    /// The lifeline that it leaves.
    pub from: usize,
    /// The lifeline that it reaches.
    pub to: usize,
    /// What is called, or what the reply took.
    pub words: String,
    /// Whether it crosses between nodes.
    pub crosses: bool,
    /// Whether it goes through a queue, and has no reply.
    pub queued: bool,
    /// Whether it failed.
    pub failed: bool,
    /// The row that it is of, by its place.
    pub row: u64,
    /// When it is sent, in ns.
    pub at: u64,
}

/// The drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    /// From left to right.
    pub lifelines: Vec<Lifeline>,
    /// From top to bottom.
    pub messages: Vec<Message>,
}

/// Draws the rows, which stand in the tree's order.
pub fn sequence<'a>(rows: impl Iterator<Item = (u64, Told<'a>)>, calls_max: usize) -> Sequence {
    let mut lifelines: Vec<Lifeline> = Vec::new();
    let mut messages: Vec<Message> = Vec::new();
    // Who is at work at each level.
    let mut levels: Vec<usize> = Vec::new();
    let mut calls = 0;
    for (place, told) in rows {
        let depth = told.row.depth as usize;
        let to = lifeline(&mut lifelines, told);
        levels.truncate(depth);
        let from = levels.last().copied();
        levels.resize(depth, to);
        levels.push(to);
        let Some(from) = from.filter(|_| calls < calls_max) else {
            continue;
        };
        calls += 1;
        let times = told
            .row
            .repeats
            .as_ref()
            .map_or_else(String::new, |repeats| format!(" × {}", repeats.count));
        let queued = told.row.bar == protocol::api::rows::RowBar::Queued;
        let call = Message {
            number: calls,
            reply: false,
            from,
            to,
            words: format!("{}{times}", told.label()),
            crosses: lifelines[from].node != lifelines[to].node,
            queued,
            failed: told.row.failed,
            row: place,
            at: told.row.outer.0,
        };
        if !queued && from != to {
            messages.push(Message {
                reply: true,
                from: to,
                to: from,
                words: crate::format::duration(told.duration()),
                at: told.row.outer.1,
                ..call.clone()
            });
        }
        messages.push(call);
    }
    // Of two at one moment, a call that is within another comes after it, and its reply before.
    messages.sort_by_key(|message| {
        let order = if message.reply {
            usize::MAX - message.number
        } else {
            message.number
        };
        (message.at, message.reply, order)
    });
    arrange(Sequence { lifelines, messages })
}

fn lifeline(lifelines: &mut Vec<Lifeline>, told: Told<'_>) -> usize {
    let found = lifelines
        .iter()
        .position(|line| line.handler == told.handler() && line.node == told.node());
    found.unwrap_or_else(|| {
        lifelines.push(Lifeline {
            handler: told.handler().to_owned(),
            node: told.node().to_owned(),
        });
        lifelines.len() - 1
    })
}

/// Puts lifelines of one node beside each other, and leaves out those without a message.
fn arrange(drawn: Sequence) -> Sequence {
    let is_used = |at: usize| {
        drawn
            .messages
            .iter()
            .any(|message| message.from == at || message.to == at)
    };
    let mut nodes: Vec<&str> = Vec::new();
    for line in &drawn.lifelines {
        if !nodes.contains(&line.node.as_str()) {
            nodes.push(&line.node);
        }
    }
    let mut order: Vec<usize> = (0..drawn.lifelines.len()).filter(|at| is_used(*at)).collect();
    order.sort_by_key(|at| nodes.iter().position(|node| *node == drawn.lifelines[*at].node));
    let place = |from: usize| order.iter().position(|at| *at == from).unwrap_or(0);
    let messages = drawn.messages.iter().map(|message| Message {
        from: place(message.from),
        to: place(message.to),
        ..message.clone()
    });
    Sequence {
        messages: messages.collect(),
        lifelines: order.iter().map(|at| drawn.lifelines[*at].clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::SpanId;
    use protocol::api::rows::{RowBar, RowKey, Rows, TraceRow};

    use super::super::windows::Windows;
    use super::*;

    /// Rows as (handler, depth, start, end) with their node.
    fn drawn(rows: &[(&str, &str, u32, u64, u64)], calls_max: usize) -> Sequence {
        let mut words: Vec<String> = vec!["call".to_owned()];
        let mut word = |text: &str| {
            words.push(text.to_owned());
            words.len() as u32 - 1
        };
        let made: Vec<TraceRow> = rows
            .iter()
            .zip(1..)
            .map(|((handler, node, depth, start, end), id)| TraceRow {
                key: RowKey {
                    span: SpanId(id),
                    repeats: false,
                },
                server: None,
                handler: word(handler),
                node: word(node),
                label: 0,
                depth: *depth,
                below: 0,
                folded: false,
                outer: (*start, *end),
                inner: None,
                bar: RowBar::Solid,
                failed: false,
                orphan: false,
                repeats: None,
                later: None,
            })
            .collect();
        let mut windows = Windows::default();
        let answer = Rows {
            total: made.len() as u64,
            at: 0,
            words,
            rows: made,
            path: Vec::new(),
            revealed: None,
            head: None,
        };
        windows.put(0, answer);
        sequence(windows.all(), calls_max)
    }

    const SHOP: [(&str, &str, u32, u64, u64); 4] = [
        ("frontend", "home", 0, 0, 100),
        ("checkout", "b", 1, 10, 90),
        ("cart", "home", 2, 20, 30),
        ("payment", "b", 2, 40, 80),
    ];

    #[test]
    fn calls_and_replies_come_in_the_order_of_time_between_lifelines_grouped_by_node() {
        let drawn = drawn(&SHOP, 60);
        let lines: Vec<&str> = drawn.lifelines.iter().map(|line| line.handler.as_str()).collect();
        assert_eq!(lines, ["frontend", "cart", "checkout", "payment"]);
        let told: Vec<(usize, bool, usize, usize)> = drawn
            .messages
            .iter()
            .map(|message| (message.number, message.reply, message.from, message.to))
            .collect();
        assert_eq!(
            told,
            [
                (1, false, 0, 2),
                (2, false, 2, 1),
                (2, true, 1, 2),
                (3, false, 2, 3),
                (3, true, 3, 2),
                (1, true, 2, 0),
            ]
        );
        let crossing: Vec<bool> = drawn.messages.iter().map(|message| message.crosses).collect();
        assert_eq!(crossing, [true, true, true, false, false, true]);
    }

    #[test]
    fn a_drawing_keeps_to_its_size_and_leaves_out_who_has_no_part() {
        let drawn = drawn(&SHOP, 1);
        assert_eq!((drawn.lifelines.len(), drawn.messages.len()), (2, 2));
    }
}
