//! Answers with what it was asked, for every plain type of WIT: nothing may be lost or changed on the way.

use bindings::exports::hostile::guests::echo::{Colour, Everything, Point, Rights, Shape};

sdk::handler! { path: "../wit", world: "hostile-echo", handler: Mirror }

pub struct Mirror;

impl Echo for Mirror {
    fn echo_bool(&self, value: bool) -> bool {
        value
    }

    fn echo_u8(&self, value: u8) -> u8 {
        value
    }

    fn echo_s8(&self, value: i8) -> i8 {
        value
    }

    fn echo_u16(&self, value: u16) -> u16 {
        value
    }

    fn echo_s16(&self, value: i16) -> i16 {
        value
    }

    fn echo_u32(&self, value: u32) -> u32 {
        value
    }

    fn echo_s32(&self, value: i32) -> i32 {
        value
    }

    fn echo_u64(&self, value: u64) -> u64 {
        value
    }

    fn echo_s64(&self, value: i64) -> i64 {
        value
    }

    fn echo_f32(&self, value: f32) -> f32 {
        value
    }

    fn echo_f64(&self, value: f64) -> f64 {
        value
    }

    fn echo_char(&self, value: char) -> char {
        value
    }

    fn echo_string(&self, value: String) -> String {
        value
    }

    fn echo_bytes(&self, value: Vec<u8>) -> Vec<u8> {
        value
    }

    fn echo_strings(&self, value: Vec<String>) -> Vec<String> {
        value
    }

    fn echo_record(&self, value: Point) -> Point {
        value
    }

    fn echo_tuple(&self, value: (u8, String)) -> (u8, String) {
        value
    }

    fn echo_variant(&self, value: Shape) -> Shape {
        value
    }

    fn echo_enum(&self, value: Colour) -> Colour {
        value
    }

    fn echo_flags(&self, value: Rights) -> Rights {
        value
    }

    fn echo_option(&self, value: Option<Option<u32>>) -> Option<Option<u32>> {
        value
    }

    fn echo_result(&self, value: Result<u64, String>) -> Result<u64, String> {
        value
    }

    fn echo_everything(&self, value: Everything) -> Everything {
        value
    }

    fn echo_many(
        &self,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: i8,
        f: i16,
        g: i32,
        h: i64,
        i: f32,
        j: f64,
        k: bool,
        l: char,
        m: String,
        n: Vec<u8>,
        o: Point,
        p: Colour,
        q: Rights,
        r: Option<u32>,
    ) -> Vec<String> {
        vec![
            a.to_string(),
            b.to_string(),
            c.to_string(),
            d.to_string(),
            e.to_string(),
            f.to_string(),
            g.to_string(),
            h.to_string(),
            i.to_string(),
            j.to_string(),
            k.to_string(),
            l.to_string(),
            m,
            format!("{n:?}"),
            format!("{o:?}"),
            format!("{p:?}"),
            format!("{q:?}"),
            format!("{r:?}"),
        ]
    }
}
