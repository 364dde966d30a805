use super::*;

fn class(name: &str) -> Class {
    Functions { catalog: None, safe: &BTreeSet::new() }.class(None, name)
}

#[test]
fn lists_name_only_functions_that_exist() {
    let listed = [MOMENTS, HARMLESS, HOME_BOUND, READS_TABLES, READ_ONLY].concat();
    let unknown: Vec<&str> = listed.into_iter().filter(|name| !is_builtin(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn classes_of_some() {
    assert_eq!(class("lower"), Class::Harmless);
    assert_eq!(class("now"), Class::Moment);
    assert_eq!(class("count"), Class::Aggregate);
    assert_eq!(class("row_number"), Class::Window);
    assert_eq!(class("nextval"), Class::HomeBound);
    assert_eq!(class("pg_try_advisory_xact_lock"), Class::HomeBound);
    assert_eq!(class("query_to_xml"), Class::ReadsTables);
    assert_eq!(class("lo_import"), Class::ReadsTables);
    assert_eq!(class("version"), Class::Server);
    // 'int4'::regtype, as drivers ask for types.
    assert_eq!(class("regtype"), Class::Server);
    assert_eq!(class("my_function"), Class::Unknown);
}

/// An immutable built-in function must not be an exception that was overlooked.
#[test]
fn no_immutable_function_reads_tables() {
    for (name, builtin) in BUILTIN.iter() {
        if builtin.immutable {
            assert!(!name.contains("_to_xml"), "{name}");
        }
    }
}
