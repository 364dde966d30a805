use super::*;

fn shop() -> Catalog {
    let users = Relation::table("public", "users").with("id", KeyType::Int8).with("email", KeyType::Text);
    let old =
        Relation { parents: vec![QualifiedName::new("public", "users")], ..Relation::table("public", "old_users") };
    let view = Relation::view("public", "active", &[("public", "users")]);
    let functions = vec![Function::new("public", "f"), Function::new("util", "f")];
    Catalog::new(vec![users, old, view], functions).with_system_relations(["pg_class".to_owned()])
}

#[test]
fn relations_are_found_by_schema_and_name() {
    let shop = shop();
    let users = shop.relation("public", "users").expect("it was added");
    assert_eq!(users.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id", "email"]);
    assert_eq!(users.column("id").and_then(|column| column.key_type), Some(KeyType::Int8));
    assert!(shop.relation("other", "users").is_none());
    assert!(shop.relation("public", "Users").is_none());
    assert!(shop.is_system_relation("pg_class"));
    assert!(!shop.is_system_relation("users"));
}

#[test]
fn functions_are_found_in_one_schema_or_in_any() {
    let shop = shop();
    assert_eq!(shop.functions(None, "f").count(), 2);
    assert_eq!(shop.functions(Some("util"), "f").count(), 1);
    assert_eq!(shop.functions(None, "g").count(), 0);
}

#[test]
fn descendants_are_those_that_name_it_as_an_ancestor() {
    let shop = shop();
    let names: Vec<_> = shop.descendants("public", "users").map(|relation| relation.name.as_str()).collect();
    assert_eq!(names, ["old_users"]);
}
