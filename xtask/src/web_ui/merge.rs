//! Several modules as one, where they are parts of one program: what the splitting of the UI makes of it.
//!
//! Splitting gives a module for every set of pages that share something, a hundred of them. A page's own and all that it
//! shares become one file, so a page is one request: what two pages share is in the files of both. That is sound
//! because such modules define nothing but functions, which they put into the one table and find there: a slot that is
//! written twice holds the same function. Memory must not be written twice, as it may have changed since: so what
//! several pages share of it belongs to the shell ([`with_data`]), which is there before all pages.
//! Not here: linking. Modules that define or import more are refused.

use std::fmt;
use std::ops::Range;

use anyhow::{Context, Result, anyhow, ensure};
use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, DataSection, ElementSection, FunctionSection, ImportSection, Module, RawSection, SectionId,
};
use wasmparser::{
    BinaryReader, CodeSectionReader, DataSectionReader, ElementSectionReader, Import, Parser, Payload,
    TypeRef,
};

/// A module, as far as it counts here.
#[derive(Default)]
struct Part<'a> {
    /// The section with the types, as it is: all modules of a program have the same.
    types: &'a [u8],
    imports: Vec<Import<'a>>,
    /// The types of its functions.
    functions: Vec<u32>,
    elements: Option<ElementSectionReader<'a>>,
    code: Option<CodeSectionReader<'a>>,
    data: Option<DataSectionReader<'a>>,
}

/// Where the functions and globals of a part are in the whole.
struct Places {
    functions_before: u32,
    globals: Vec<u32>,
}

/// Code that names a segment of data, which has no place in the whole.
#[derive(Debug)]
struct NamesData;

/// One module of several; of each goes with it whether its data is wanted.
pub fn merge(modules: &[(&[u8], bool)]) -> Result<Vec<u8>> {
    let parts = modules.iter().map(|(bytes, _)| Part::read(bytes));
    let parts: Vec<Part<'_>> = parts.collect::<Result<_>>()?;
    let types = parts.first().context("nothing is to be merged")?.types;
    let imports = union(&parts);
    let mut functions = FunctionSection::new();
    let mut elements = ElementSection::new();
    let mut code = CodeSection::new();
    let mut data = DataSection::new();
    for (part, (_, with_data)) in parts.iter().zip(modules) {
        ensure!(
            part.types == types,
            "the modules to merge are of different programs"
        );
        let mut places = Places {
            functions_before: functions.len(),
            globals: globals(&part.imports)
                .map(|own| place_of(&imports, own))
                .collect(),
        };
        for of_type in &part.functions {
            functions.function(*of_type);
        }
        if let Some(reader) = &part.elements {
            let added = places.parse_element_section(&mut elements, reader.clone());
            added.map_err(unfit)?;
        }
        if let Some(reader) = &part.code {
            let added = places.parse_code_section(&mut code, reader.clone());
            added.map_err(unfit)?;
        }
        if let Some(reader) = part.data.as_ref().filter(|_| *with_data) {
            add_data(&mut data, reader)?;
        }
    }
    let mut whole = Module::new();
    whole.section(&raw(SectionId::Type, types));
    whole.section(&import_section(&imports)?);
    whole
        .section(&functions)
        .section(&elements)
        .section(&code)
        .section(&data);
    Ok(whole.finish())
}

/// A module with the data of others beside its own.
pub fn with_data(module: &[u8], others: &[&[u8]]) -> Result<Vec<u8>> {
    let mut out = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            // Counts what follows, for code that names it, and none does.
            Payload::DataCountSection { .. } => {}
            Payload::DataSection(own) => {
                let mut data = DataSection::new();
                add_data(&mut data, own)?;
                for other in others {
                    if let Some(reader) = &Part::read(other)?.data {
                        add_data(&mut data, reader)?;
                    }
                }
                out.section(&data);
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    let data = &module[range];
                    out.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(out.finish())
}

impl<'a> Part<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut part = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(reader) => part.types = &bytes[reader.range()],
                Payload::ImportSection(reader) => {
                    let imports = reader.into_imports();
                    part.imports = imports.collect::<Result<_, _>>()?;
                }
                Payload::FunctionSection(reader) => {
                    part.functions = reader.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::ElementSection(reader) => part.elements = Some(reader),
                Payload::CodeSectionStart { range, .. } => part.code = Some(code_at(bytes, range)?),
                Payload::DataSection(reader) => part.data = Some(reader),
                _ => {}
            }
        }
        let mut tables_and_memories = part.imports.iter().filter(|import| !is_global(import));
        ensure!(
            tables_and_memories.all(|import| matches!(import.ty, TypeRef::Table(_) | TypeRef::Memory(_))),
            "a module to merge imports more than a table, a memory and globals"
        );
        Ok(part)
    }
}

impl Reencode for Places {
    type Error = NamesData;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<NamesData>> {
        Ok(function + self.functions_before)
    }

    fn global_index(&mut self, global: u32) -> Result<u32, reencode::Error<NamesData>> {
        Ok(self.globals.get(global as usize).copied().unwrap_or(global))
    }

    fn data_index(&mut self, _: u32) -> Result<u32, reencode::Error<NamesData>> {
        Err(reencode::Error::UserError(NamesData))
    }
}

impl fmt::Display for NamesData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its code names a segment of data")
    }
}

fn code_at(bytes: &[u8], range: Range<usize>) -> Result<CodeSectionReader<'_>> {
    let start = range.start;
    Ok(CodeSectionReader::new(BinaryReader::new(&bytes[range], start))?)
}

fn is_global(import: &Import<'_>) -> bool {
    matches!(import.ty, TypeRef::Global(_))
}

fn globals<'a>(imports: &'a [Import<'a>]) -> impl Iterator<Item = &'a Import<'a>> {
    imports.iter().filter(|import| is_global(import))
}

/// The index of a global among the imports of all.
fn place_of(imports: &[Import<'_>], own: &Import<'_>) -> u32 {
    let before = globals(imports).take_while(|import| import.name != own.name);
    u32::try_from(before.count()).unwrap_or(u32::MAX)
}

/// The imports of all parts, each once.
fn union<'a>(parts: &[Part<'a>]) -> Vec<Import<'a>> {
    let mut union: Vec<Import<'a>> = Vec::new();
    for import in parts.iter().flat_map(|part| &part.imports) {
        if !union.iter().any(|known| known.name == import.name) {
            union.push(*import);
        }
    }
    union
}

fn import_section(imports: &[Import<'_>]) -> Result<ImportSection> {
    let mut section = ImportSection::new();
    for import in imports {
        let of_type = RoundtripReencoder.entity_type(import.ty).map_err(unfit)?;
        section.import(import.module, import.name, of_type);
    }
    Ok(section)
}

/// Adds the segments that are not empty: splitting keeps the numbers of those that others have.
fn add_data(section: &mut DataSection, reader: &DataSectionReader<'_>) -> Result<()> {
    for segment in reader.clone() {
        let segment = segment?;
        if !segment.data.is_empty() {
            RoundtripReencoder.parse_data(section, segment).map_err(unfit)?;
        }
    }
    Ok(())
}

fn raw(id: SectionId, data: &[u8]) -> RawSection<'_> {
    RawSection { id: id as u8, data }
}

fn unfit<E: fmt::Debug>(error: reencode::Error<E>) -> anyhow::Error {
    anyhow!("a module cannot be merged: {error:?}")
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{ConstExpr, EntityType, Function, Instruction, MemoryType, TypeSection, ValType};

    use super::*;

    const TYPES: [ValType; 1] = [ValType::I32];

    /// A module with two functions, where the second gives `number` by the first, and a byte of memory at `number`.
    fn module(number: i32, globals: &[&str]) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], TYPES);
        let mut imports = ImportSection::new();
        for name in globals {
            let of_type = wasm_encoder::GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            };
            imports.import("shell", name, EntityType::Global(of_type));
        }
        let of_type = MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        imports.import("shell", "memory", EntityType::Memory(of_type));
        let mut functions = FunctionSection::new();
        functions.function(0).function(0);
        let mut code = CodeSection::new();
        let mut one = Function::new([]);
        one.instruction(&Instruction::I32Const(number));
        for global in 0..globals.len() {
            let global = u32::try_from(global).unwrap();
            one.instruction(&Instruction::GlobalGet(global))
                .instruction(&Instruction::I32Add);
        }
        one.instruction(&Instruction::End);
        let mut two = Function::new([]);
        two.instruction(&Instruction::Call(0))
            .instruction(&Instruction::End);
        code.function(&one).function(&two);
        let mut data = DataSection::new();
        data.active(0, &ConstExpr::i32_const(number), [7]);
        data.active(0, &ConstExpr::i32_const(0), []);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&code).section(&data);
        module.finish()
    }

    /// Calls and globals of the functions, and the offsets of the data.
    fn told(module: &[u8]) -> (Vec<String>, usize) {
        wasmparser::validate(module).unwrap();
        let part = Part::read(module).unwrap();
        let mut words = Vec::new();
        for body in part.code.unwrap() {
            for operator in body.unwrap().get_operators_reader().unwrap() {
                match operator.unwrap() {
                    wasmparser::Operator::Call { function_index } => {
                        words.push(format!("call {function_index}"))
                    }
                    wasmparser::Operator::GlobalGet { global_index } => {
                        words.push(format!("global {global_index}"));
                    }
                    wasmparser::Operator::I32Const { value } => words.push(value.to_string()),
                    _ => {}
                }
            }
        }
        (words, part.data.map_or(0, |data| data.count() as usize))
    }

    #[test]
    fn functions_and_globals_keep_their_meaning() {
        let (one, two) = (module(1, &["a"]), module(2, &["b", "a"]));
        let whole = merge(&[(&one, true), (&two, true)]).unwrap();
        let (words, data) = told(&whole);
        assert_eq!(
            words,
            ["1", "global 0", "call 0", "2", "global 1", "global 0", "call 2"]
        );
        assert_eq!(data, 2, "empty segments are left out");
        assert_eq!(told(&merge(&[(&one, true), (&two, false)]).unwrap()).1, 1);
    }

    #[test]
    fn data_goes_to_the_shell_and_nothing_else_does() {
        let (shell, page) = (module(1, &[]), module(2, &[]));
        let (words, data) = told(&with_data(&shell, &[&page]).unwrap());
        assert_eq!((words, data), (vec!["1".to_owned(), "call 0".to_owned()], 2));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut foreign = Module::new();
        foreign.section(&types);
        let foreign = foreign.finish();
        assert!(merge(&[(&module(1, &[]), true), (&foreign, true)]).is_err());
        let mut imports = ImportSection::new();
        imports.import("a", "function", EntityType::Function(0));
        let mut importing = Module::new();
        importing.section(&types).section(&imports);
        assert!(merge(&[(&importing.finish(), true)]).is_err());
        assert!(merge(&[]).is_err());
    }
}
