//! The smallest handler: one interface, one function, nothing imported.

sdk::handler! { path: "wit", world: "hello", handler: Hello }

pub struct Hello;

impl Greeter for Hello {
    fn greet(&self, name: String) -> String {
        match name.trim() {
            "" => "Hello, stranger!".to_owned(),
            name => format!("Hello, {name}!"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_greeted() {
        assert_eq!(Hello.greet("Ada".into()), "Hello, Ada!");
        assert_eq!(Hello.greet("  ".into()), "Hello, stranger!");
    }
}
