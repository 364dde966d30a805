//! INSERT, UPDATE, DELETE and MERGE, at the top or in a common table expression.

use sqlparser::ast;

use super::{At, Lowered, Lowering, NotParsed, names, predicate};
use crate::sql::statement::{
    Assignment, InsertSource, JoinTree, MergeInsert, Name, Operand, Parent, Place, Relation, Source, TableName, Write,
};

impl Lowering {
    /// The scope of a data-modifying command.
    pub(super) fn write(&mut self, statement: &ast::Statement, parent: Option<Parent>) -> Lowered<usize> {
        match statement {
            ast::Statement::Insert(insert) => self.insert(insert, parent),
            ast::Statement::Update(update) => self.update(update, parent),
            ast::Statement::Delete(delete) => self.delete(delete, parent),
            ast::Statement::Merge(merge) => self.merge(merge, parent),
            _ => Err(NotParsed),
        }
    }

    /// Opens a scope with the target as its first relation. A target is always a table, whatever
    /// common table expressions there are.
    fn open_target(&mut self, parent: Option<Parent>, table: TableName, alias: Option<Name>) -> usize {
        let scope = self.open(parent);
        let this = self.scope(scope);
        this.relations.push(Relation { source: Source::Table(table), alias, renamed: false, is_target: true });
        this.from.push(JoinTree::Relation(0));
        scope
    }

    fn returning(&mut self, scope: usize, returning: Option<&Vec<ast::SelectItem>>) -> Lowered<()> {
        let Some(items) = returning else {
            return Ok(());
        };
        self.projection(scope, items)?;
        self.scope(scope).outputs.clear();
        Ok(())
    }

    fn insert(&mut self, insert: &ast::Insert, parent: Option<Parent>) -> Lowered<usize> {
        let ast::Insert {
            insert_token: _,
            optimizer_hints,
            or: None,
            ignore: false,
            into: true,
            table: ast::TableObject::TableName(table),
            table_alias,
            columns,
            overwrite: false,
            source,
            assignments,
            partitioned: None,
            after_columns,
            has_table_keyword: false,
            on,
            returning,
            output: None,
            replace_into: false,
            priority: None,
            insert_alias: None,
            settings: None,
            format_clause: None,
            multi_table_insert_type: None,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause: None,
        } = insert
        else {
            return Err(NotParsed);
        };
        let plain = optimizer_hints.is_empty()
            && assignments.is_empty()
            && after_columns.is_empty()
            && multi_table_into_clauses.is_empty()
            && multi_table_when_clauses.is_empty();
        if !plain {
            return Err(NotParsed);
        }
        let alias = table_alias.as_ref().map(|alias| names::name(&alias.alias)).transpose()?;
        let columns = columns.iter().map(names::single).collect::<Lowered<Vec<_>>>()?;
        let scope = self.open_target(parent.clone(), names::table(table)?, alias);
        let source = match source {
            None => InsertSource::DefaultValues,
            Some(query) => self.insert_source(query, parent)?,
        };
        let conflict_sets = self.conflict(scope, on.as_ref())?;
        self.returning(scope, returning.as_ref())?;
        self.out.writes.push(Write::Insert { scope, target: 0, columns, source, conflict_sets });
        Ok(scope)
    }

    fn insert_source(&mut self, query: &ast::Query, parent: Option<Parent>) -> Lowered<InsertSource> {
        if let ast::Query { with: None, body, order_by: None, limit_clause: None, fetch: None, .. } = query
            && let ast::SetExpr::Values(values) = body.as_ref()
        {
            // The expressions of VALUES don't see the target.
            let rows = self.open(parent);
            self.rows(rows, values)?;
            let row = |row: &ast::Parens<Vec<ast::Expr>>| row.content.iter().map(predicate::operand).collect();
            return Ok(InsertSource::Rows(values.rows.iter().map(row).collect()));
        }
        Ok(InsertSource::Query(self.query(query, parent)?))
    }

    /// The columns that ON CONFLICT DO UPDATE sets.
    fn conflict(&mut self, scope: usize, on: Option<&ast::OnInsert>) -> Lowered<Vec<Name>> {
        let action = match on {
            None => return Ok(Vec::new()),
            Some(ast::OnInsert::OnConflict(conflict)) => &conflict.action,
            Some(_) => return Err(NotParsed),
        };
        match action {
            ast::OnConflictAction::DoNothing => Ok(Vec::new()),
            ast::OnConflictAction::DoUpdate(update) => {
                let sets = self.assignments(scope, &update.assignments)?;
                let at = self.at(scope, Place::Other);
                self.walk_option(update.selection.as_ref(), &at)?;
                // The new row's own value.
                let is_excluded = |set: &Assignment| match &set.value {
                    Operand::Column(column) => {
                        column.name == set.column
                            && column
                                .qualifier
                                .as_ref()
                                .is_some_and(|of| of.schema.is_none() && *of.name == *"excluded")
                    }
                    _ => false,
                };
                Ok(sets.into_iter().filter(|set| !is_excluded(set)).map(|set| set.column).collect())
            }
        }
    }

    fn assignments(&mut self, scope: usize, assignments: &[ast::Assignment]) -> Lowered<Vec<Assignment>> {
        let at = self.at(scope, Place::Other);
        let mut sets = Vec::new();
        for assignment in assignments {
            self.walk(&assignment.value, &at)?;
            match &assignment.target {
                ast::AssignmentTarget::ColumnName(column) => {
                    sets.push(Assignment { column: assigned(column)?, value: predicate::operand(&assignment.value) });
                }
                ast::AssignmentTarget::Tuple(columns) => {
                    for column in columns {
                        sets.push(Assignment { column: assigned(column)?, value: Operand::Opaque });
                    }
                }
            }
        }
        Ok(sets)
    }

    fn update(&mut self, update: &ast::Update, parent: Option<Parent>) -> Lowered<usize> {
        let ast::Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments,
            from,
            selection,
            returning,
            output: None,
            or: None,
            order_by,
            limit: None,
        } = update
        else {
            return Err(NotParsed);
        };
        if !(optimizer_hints.is_empty() && order_by.is_empty() && table.joins.is_empty()) {
            return Err(NotParsed);
        }
        let scope = self.target(&table.relation, parent)?;
        match from {
            None => {}
            Some(ast::UpdateTableFromKind::AfterSet(items)) => self.from(scope, items)?,
            Some(ast::UpdateTableFromKind::BeforeSet(_)) => return Err(NotParsed),
        }
        let assignments = self.assignments(scope, assignments)?;
        self.selection(scope, selection.as_ref())?;
        self.returning(scope, returning.as_ref())?;
        self.out.writes.push(Write::Update { scope, target: 0, assignments });
        Ok(scope)
    }

    fn delete(&mut self, delete: &ast::Delete, parent: Option<Parent>) -> Lowered<usize> {
        let ast::Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from: ast::FromTable::WithFromKeyword(from),
            using,
            selection,
            returning,
            output: None,
            order_by,
            limit: None,
        } = delete
        else {
            return Err(NotParsed);
        };
        let [target] = from.as_slice() else {
            return Err(NotParsed);
        };
        if !(optimizer_hints.is_empty() && tables.is_empty() && order_by.is_empty() && target.joins.is_empty()) {
            return Err(NotParsed);
        }
        let scope = self.target(&target.relation, parent)?;
        self.from(scope, using.as_deref().unwrap_or_default())?;
        self.selection(scope, selection.as_ref())?;
        self.returning(scope, returning.as_ref())?;
        self.out.writes.push(Write::Delete { scope, target: 0 });
        Ok(scope)
    }

    /// A scope whose target is a plain table.
    fn target(&mut self, factor: &ast::TableFactor, parent: Option<Parent>) -> Lowered<usize> {
        let ast::TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } = factor
        else {
            return Err(NotParsed);
        };
        if !(with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty()) {
            return Err(NotParsed);
        }
        let alias = match alias {
            None => None,
            Some(alias) if alias.columns.is_empty() && alias.at.is_none() => Some(names::name(&alias.name)?),
            Some(_) => return Err(NotParsed),
        };
        Ok(self.open_target(parent, names::table(name)?, alias))
    }

    fn merge(&mut self, merge: &ast::Merge, parent: Option<Parent>) -> Lowered<usize> {
        let ast::Merge { merge_token: _, optimizer_hints, into: true, table, source, on, clauses, output: None } =
            merge
        else {
            return Err(NotParsed);
        };
        if !optimizer_hints.is_empty() {
            return Err(NotParsed);
        }
        let scope = self.target(table, parent)?;
        let source = self.factor(scope, source)?;
        self.scope(scope).from.push(source);
        let at = self.at(scope, Place::Filter);
        self.walk(on, &at)?;
        // Like source LEFT JOIN target: rows of the target that don't match aren't touched, rows of
        // the source all are.
        self.filter(scope, on, &(0..1), &at.visible);
        let (mut assignments, mut inserts) = (Vec::new(), Vec::new());
        for clause in clauses {
            self.merge_clause(scope, clause, &mut assignments, &mut inserts)?;
        }
        self.out.writes.push(Write::Merge { scope, target: 0, assignments, inserts });
        Ok(scope)
    }

    fn merge_clause(
        &mut self,
        scope: usize,
        clause: &ast::MergeClause,
        assignments: &mut Vec<Assignment>,
        inserts: &mut Vec<MergeInsert>,
    ) -> Lowered<()> {
        // BY SOURCE touches every row of the target that doesn't match.
        if !matches!(clause.clause_kind, ast::MergeClauseKind::Matched | ast::MergeClauseKind::NotMatched) {
            return Err(NotParsed);
        }
        let at: At = self.at(scope, Place::Other);
        self.walk_option(clause.predicate.as_ref(), &at)?;
        match &clause.action {
            ast::MergeAction::Delete { .. } | ast::MergeAction::DoNothing { .. } => Ok(()),
            ast::MergeAction::Update(update) => {
                let ast::MergeUpdateKind::Set(sets) = &update.kind else {
                    return Err(NotParsed);
                };
                if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                    return Err(NotParsed);
                }
                assignments.extend(self.assignments(scope, sets)?);
                Ok(())
            }
            ast::MergeAction::Insert(insert) => {
                let ast::MergeInsertKind::Values(values) = &insert.kind else {
                    return Err(NotParsed);
                };
                let [row] = values.rows.as_slice() else {
                    return Err(NotParsed);
                };
                if insert.insert_predicate.is_some() {
                    return Err(NotParsed);
                }
                self.rows(scope, values)?;
                inserts.push(MergeInsert {
                    columns: insert.columns.iter().map(names::single).collect::<Lowered<_>>()?,
                    values: row.content.iter().map(predicate::operand).collect(),
                });
                Ok(())
            }
        }
    }
}

/// `SET column`; a subscript or a field of it would be more than one name.
fn assigned(column: &ast::ObjectName) -> Lowered<Name> {
    names::single(column)
}
