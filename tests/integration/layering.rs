//! Checks the dependency order that `src/lib.rs` documents: modules import only modules below
//! them, and there are no import cycles.
//!
//! Unit tests (`#[cfg(test)]`) may import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pretty_assertions::assert_eq;
use syn::visit::{self, Visit};

/// The path of a module within the crate, such as `["web", "server"]`. The path of the crate
/// root is empty.
type ModulePath = Vec<String>;

/// The modules that each module imports.
type Imports = BTreeMap<ModulePath, BTreeSet<ModulePath>>;

#[test]
fn modules_import_only_modules_below_them_in_the_order_of_lib_rs() {
    let order = documented_order(&std::fs::read_to_string("src/lib.rs").unwrap());
    let imports = parse_imports(Path::new("src"));
    let top_level: BTreeSet<&str> = imports.keys().filter_map(|path| Some(path.first()?.as_str())).collect();
    let documented: BTreeSet<&str> = order.iter().flatten().map(String::as_str).collect();
    assert_eq!(documented, top_level, "the dependency order names every module of src/ once");

    let level = |module: &str| order.iter().position(|line| line.iter().any(|name| name == module)).unwrap();
    let mut upwards = BTreeSet::new();
    for (module, imported) in imports_between_children_of(&imports, &[]) {
        for other in imported {
            if level(&other) <= level(&module) {
                upwards.insert(format!("{module} imports {other}"));
            }
        }
    }
    assert_eq!(upwards, BTreeSet::new());
}

#[test]
fn modules_of_a_directory_have_no_import_cycles() {
    let imports = parse_imports(Path::new("src"));
    let directories: BTreeSet<&[String]> =
        imports.keys().filter_map(|path| Some(path.split_last()?.1)).collect();
    let cycles: Vec<_> = directories
        .into_iter()
        .filter_map(|directory| find_cycle(imports_between_children_of(&imports, directory)))
        .collect();
    assert_eq!(cycles, Vec::<Vec<String>>::new());
}

#[test]
fn imports_are_found_in_use_declarations_and_paths_but_not_in_unit_tests() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; mod c;");
    write("a/mod.rs", "mod inner; use crate::{b::{self, B}, c::C};");
    write("a/inner.rs", "use super::other::Other; fn f() -> super::super::b::B { loop {} }");
    write("a/other.rs", "#[cfg(test)] mod tests { use crate::c::C; } fn f() { super::inner::f() }");
    write("b.rs", "fn f() -> crate::c::C { loop {} }");
    write("c.rs", "use std::a::B;");
    let imports = parse_imports(directory.path());
    let names = |of: &str| -> Vec<String> {
        let path: ModulePath = of.split("::").map(ToOwned::to_owned).collect();
        imports[&path].iter().map(|path| path.join("::")).collect()
    };
    assert_eq!(names("a"), ["b", "c"]);
    assert_eq!(names("a::inner"), ["a::other", "b"]);
    assert_eq!(names("a::other"), ["a::inner"]);
    assert_eq!(names("b"), ["c"]);
    assert_eq!(names("c"), Vec::<String>::new());
    let siblings = imports_between_children_of(&imports, &["a".to_owned()]);
    assert_eq!(find_cycle(siblings), Some(vec!["inner".to_owned(), "other".to_owned()]));
    assert_eq!(find_cycle(imports_between_children_of(&imports, &[])), None);
}

/// The lines of the fenced block under the heading `Dependency order`. The modules on a line do
/// not import each other.
fn documented_order(lib: &str) -> Vec<Vec<String>> {
    lib.lines()
        .map_while(|line| line.strip_prefix("//!"))
        .skip_while(|line| line.trim() != "# Dependency order")
        .skip_while(|line| !line.trim().starts_with("```"))
        .skip(1)
        .take_while(|line| !line.trim().starts_with("```"))
        .map(|line| line.split_whitespace().map(ToOwned::to_owned).collect())
        .collect()
}

/// The modules of all import cycles and those that import them, if there is a cycle.
fn find_cycle(mut imports: BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    // Remove modules that import none of the remaining modules, until there are no more.
    loop {
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        imports.retain(|_, imported| imported.iter().any(|module| left.contains(module)));
        if imports.len() == left.len() {
            return (!left.is_empty()).then(|| left.into_iter().collect());
        }
    }
}

/// The imports between the child modules of `parent`, each taken together with its own
/// submodules.
fn imports_between_children_of(imports: &Imports, parent: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let child = |path: &ModulePath| path.strip_prefix(parent).and_then(|rest| rest.first().cloned());
    let mut between: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, imported) in imports {
        let Some(module) = child(module) else { continue };
        let others = imported.iter().filter_map(child).filter(|other| *other != module);
        between.entry(module.clone()).or_default().extend(others);
    }
    between
}

fn parse_imports(root: &Path) -> Imports {
    let mut sources = BTreeMap::new();
    read_modules(root, &[], &mut sources);
    let modules: BTreeSet<ModulePath> = sources.keys().cloned().collect();
    sources
        .into_iter()
        .map(|(module, source)| {
            let mut collector =
                ImportCollector { module: &module, modules: &modules, imported: BTreeSet::new() };
            collector.visit_file(&source);
            collector.imported.remove(&module);
            let imported = collector.imported;
            (module, imported)
        })
        .collect()
}

/// Parses all files below `directory` except `tests.rs`, and `main.rs`, which is another crate.
fn read_modules(directory: &Path, path: &[String], sources: &mut BTreeMap<ModulePath, syn::File>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let child = [path, std::slice::from_ref(&name)].concat();
        if file.is_dir() {
            read_modules(&file, &child, sources);
        } else if file.extension().is_some_and(|extension| extension == "rs")
            && !["main", "tests"].contains(&name.as_str())
        {
            let module = if ["lib", "mod"].contains(&name.as_str()) { path.to_vec() } else { child };
            let source = syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap();
            sources.insert(module, source);
        }
    }
}

/// Collects the modules that a file imports, in `use` declarations and in other paths.
struct ImportCollector<'a> {
    module: &'a ModulePath,
    modules: &'a BTreeSet<ModulePath>,
    imported: BTreeSet<ModulePath>,
}

impl ImportCollector<'_> {
    fn record(&mut self, segments: &[String]) {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        let mut path = match segments.first().map(String::as_str) {
            Some("crate") => segments[1..].to_vec(),
            Some("self") => [self.module.as_slice(), &segments[1..]].concat(),
            Some("super") => {
                // Paths in an inline module are resolved as if they were outside of it. A path
                // with too many `super`s for that is ignored.
                let Some(parents) = self.module.len().checked_sub(supers) else { return };
                [&self.module[..parents], &segments[supers..]].concat()
            }
            Some(_) => [self.module.as_slice(), segments].concat(),
            None => return,
        };
        // The last segments may be items instead of modules.
        while !path.is_empty() && !self.modules.contains(&path) {
            path.pop();
        }
        // A path to a parent, such as `super::Item`, is not an import of a sibling.
        if !path.is_empty() && !self.module.starts_with(&path) {
            self.imported.insert(path);
        }
    }

    fn record_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                self.record_tree(&prefix, &path.tree);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.record_tree(prefix, item)),
            syn::UseTree::Name(name) => self.record(&[prefix, &[name.ident.to_string()]].concat()),
            syn::UseTree::Rename(name) => self.record(&[prefix, &[name.ident.to_string()]].concat()),
            syn::UseTree::Glob(_) => self.record(prefix),
        }
    }
}

impl<'ast> Visit<'ast> for ImportCollector<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
        };
        if !module.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.record_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A path of one segment is a local name.
        if segments.len() > 1 {
            self.record(&segments);
        }
        visit::visit_path(self, path);
    }
}
