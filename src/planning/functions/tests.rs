use super::*;

fn class(name: &str) -> Class {
    Functions { bodies: true, catalog: None, safe: &BTreeSet::new() }.class(None, name)
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

fn of_body(body: &str) -> Class {
    let function =
        crate::catalog::Function { body: Some(body.to_owned()), ..crate::catalog::Function::new("public", "own") };
    let unseen = crate::catalog::Function::new("public", "unseen");
    let catalog = Catalog::new(Vec::new(), vec![function, unseen]);
    Functions { bodies: true, catalog: Some(&catalog), safe: &BTreeSet::new() }.class(None, "own")
}

#[test]
fn a_body_tells_what_a_function_does() {
    for (body, class) in [
        ("BEGIN NEW.updated_at = now(); RETURN NEW; END", Class::Moment),
        ("BEGIN NEW.updated_at := CURRENT_TIMESTAMP; RETURN NEW; END;", Class::Moment),
        ("SELECT $1 * 2 + upper('x')::int", Class::Harmless),
        (
            "BEGIN IF NEW.a IS DISTINCT FROM OLD.a THEN RAISE EXCEPTION 'no % from', NEW.a; END IF; RETURN NEW; END",
            Class::Harmless,
        ),
        (
            "BEGIN IF TG_OP = 'UPDATE' THEN RETURN OLD; END IF; RETURN lower(NEW.\"x\"); END -- from users",
            Class::Harmless,
        ),
        ("BEGIN NEW.who = current_user; RETURN NEW; END", Class::Server),
        ("SELECT nextval('s')", Class::Unknown),
        ("SELECT count(*) FROM users", Class::Unknown),
        ("BEGIN INSERT INTO log VALUES (1); RETURN NEW; END", Class::Unknown),
        ("BEGIN EXECUTE 'x'; END", Class::Unknown),
        ("BEGIN PERFORM unseen(1); END", Class::Unknown),
        ("BEGIN RETURN (NEW).unseen; END", Class::Unknown),
        ("BEGIN PERFORM own(1); END", Class::Unknown),
        ("BEGIN RETURN query_to_xml('TABLE users', true, true, ''); END", Class::Unknown),
        ("BEGIN RETURN nowhere.f(1); END", Class::Unknown),
        ("BEGIN RETURN 'a\\'; SELECT x; END", Class::Unknown),
        ("TABLE users", Class::Unknown),
        ("BEGIN RETURN U&\"x\"; END", Class::Unknown),
    ] {
        assert_eq!(of_body(body), class, "{body}");
    }
}

#[test]
fn a_trigger_that_may_change_the_key_is_not_trusted() {
    let class = |body: &str| {
        let function =
            crate::catalog::Function { body: Some(body.to_owned()), ..crate::catalog::Function::new("public", "own") };
        let catalog = Catalog::new(Vec::new(), vec![function]);
        Functions { bodies: true, catalog: Some(&catalog), safe: &BTreeSet::new() }.class_of_trigger(
            "public",
            "own",
            Some("id"),
        )
    };
    for body in [
        "BEGIN NEW.name := NEW.id || 'x'; RETURN NEW; END",
        "BEGIN IF NEW.id > 5 THEN RETURN NULL; END IF; NEW.a = 1; RETURN NEW; END",
        "DECLARE n int := 5; BEGIN NEW.b = n; RETURN OLD; END",
    ] {
        assert_eq!(class(body), Class::Harmless, "{body}");
    }
    for body in [
        "BEGIN NEW.id := 5; RETURN NEW; END",
        "BEGIN NEW.id = 5; RETURN NEW; END",
        "BEGIN \"new\".\"id\" = 5; RETURN NEW; END",
        "BEGIN NEW := OLD; RETURN NEW; END",
        "DECLARE r users; BEGIN r := NEW; r.id := 1; RETURN r; END",
        "DECLARE r ALIAS FOR NEW; BEGIN r.id := 1; RETURN NEW; END",
        "BEGIN FOR NEW.id IN 1..2 LOOP NULL; END LOOP; RETURN NEW; END",
        "BEGIN SELECT 1 INTO NEW.id; RETURN NEW; END",
        "BEGIN RETURN (1, 2)::users; END",
        "BEGIN RETURN NEW #= 'id=>1'; END",
    ] {
        assert_eq!(class(body), Class::Unknown, "{body}");
    }
}
